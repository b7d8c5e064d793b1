//! Open data about the provinces: CSV in UTF-8 with a byte order mark and headers in Spanish.

use std::path::PathBuf;

use cordada_lake::Result;

use super::files::Output;
use super::provinces::PROVINCES;

/// Writes the provinces; the rows that were written.
pub fn write_provinces(path: PathBuf) -> Result<u64> {
    let mut output = Output::create(path)?;
    output.head("\u{feff}Código,Provincia,Comunidad Autónoma,Capital,Población (miles),Latitud,Longitud\r\n")?;
    for province in &PROVINCES {
        output.row(&format!(
            "{},\"{}\",{},{},{},{:.4},{:.4}\r\n",
            province.code,
            province.name,
            province.community,
            province.capital,
            province.thousands,
            province.latitude,
            province.longitude
        ))?;
    }
    output.finish()
}
