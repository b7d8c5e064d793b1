//! What head office keeps in a shared folder: the list of stores as a spreadsheet program saved it, in Latin-1 with
//! semicolons and decimal commas, and the buyers' product list as Parquet.

use std::path::Path;

use cordada_core::Result;

use super::files::Output;
use super::products::write_products;
use super::world::World;

/// Writes both lists; every one replaces the one before.
pub fn write_office(world: &World, folder: &Path) -> Result<u64> {
    Ok(write_stores(world, folder)? + write_products(world, &folder.join("articulos.parquet"))?)
}

fn write_stores(world: &World, folder: &Path) -> Result<u64> {
    let mut output = Output::create_latin1(folder.join("tiendas.csv.gz"))?;
    output.head(
        "CodTienda;Nombre;Dirección;CódigoPostal;Municipio;CodProvincia;Latitud;Longitud;SuperficieM2;AñoApertura\r\n",
    )?;
    for store in &world.stores {
        let (latitude, longitude) = (decimal_comma(store.latitude), decimal_comma(store.longitude));
        let province = store.province();
        output.row(&format!(
            "{};{};{};{};{};{};{latitude};{longitude};{};{}\r\n",
            store.code,
            store.name,
            store.address,
            store.postcode,
            province.capital,
            province.code,
            store.area,
            store.opened
        ))?;
    }
    output.finish()
}

fn decimal_comma(degrees: f64) -> String {
    format!("{degrees:.5}").replace('.', ",")
}
