//! What the chain sells, what it costs on a day, and when it is in season.

use super::calendar::{Day, Month};
use super::random::{Random, Topic};

/// A product.
#[derive(Debug, Clone)]
pub struct Product {
    /// The article number that the ERP prints on tickets.
    pub article: u32,
    /// The code that the shop uses.
    pub sku: String,
    /// What it says on the shelf.
    pub name: String,
    /// Brand; loose goods have none.
    pub brand: Option<&'static str>,
    /// Department.
    pub category: &'static str,
    /// Shelf.
    pub subcategory: &'static str,
    /// Sold by the kilogram instead of by the piece.
    pub by_weight: bool,
    /// VAT in percent: 4, 10 or 21.
    pub tax: u32,
    /// Price in cents with VAT, on the first day.
    pub base_price: i64,
    /// How often it is bought, compared with others.
    popularity: u32,
    season: Season,
}

/// When something is bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Season {
    Always,
    Summer,
    Winter,
    Christmas,
}

impl Season {
    fn includes(self, month_of_year: usize) -> bool {
        match self {
            Season::Always => true,
            Season::Summer => (4..=8).contains(&month_of_year),
            Season::Winter => !(3..=9).contains(&month_of_year),
            Season::Christmas => month_of_year >= 10,
        }
    }
}

use Season::{Always, Christmas, Summer, Winter};

/// Department, code, shelf, name, by weight, VAT, price in cents, popularity, season.
type Row = (
    &'static str,
    &'static str,
    &'static str,
    &'static str,
    bool,
    u32,
    i64,
    u32,
    Season,
);

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("Frutas y verduras", "FRU", "Fruta", "Plátano de Canarias", true, 4, 229, 90, Always),
    ("Frutas y verduras", "FRU", "Fruta", "Manzana Golden", true, 4, 199, 70, Always),
    ("Frutas y verduras", "FRU", "Fruta", "Naranja de mesa", true, 4, 169, 60, Winter),
    ("Frutas y verduras", "FRU", "Fruta", "Mandarina", true, 4, 199, 60, Winter),
    ("Frutas y verduras", "FRU", "Fruta", "Sandía", true, 4, 99, 50, Summer),
    ("Frutas y verduras", "FRU", "Fruta", "Melón piel de sapo", true, 4, 139, 45, Summer),
    ("Frutas y verduras", "FRU", "Fruta", "Melocotón", true, 4, 249, 40, Summer),
    ("Frutas y verduras", "FRU", "Fruta", "Cereza", true, 4, 599, 25, Summer),
    ("Frutas y verduras", "FRU", "Fruta", "Uva blanca", true, 4, 279, 30, Christmas),
    ("Frutas y verduras", "VER", "Verdura", "Tomate de ensalada", true, 4, 219, 90, Always),
    ("Frutas y verduras", "VER", "Verdura", "Patata", true, 4, 129, 80, Always),
    ("Frutas y verduras", "VER", "Verdura", "Cebolla", true, 4, 139, 75, Always),
    ("Frutas y verduras", "VER", "Verdura", "Pimiento rojo", true, 4, 249, 45, Always),
    ("Frutas y verduras", "VER", "Verdura", "Calabacín", true, 4, 189, 50, Always),
    ("Frutas y verduras", "VER", "Verdura", "Zanahoria", true, 4, 109, 55, Always),
    ("Frutas y verduras", "VER", "Verdura", "Lechuga romana", false, 4, 99, 60, Always),
    ("Frutas y verduras", "VER", "Verdura", "Espinaca en bolsa", false, 4, 149, 35, Always),
    ("Frutas y verduras", "VER", "Verdura", "Calabaza", true, 4, 159, 30, Winter),
    ("Carne y pescado", "CAR", "Carne", "Pechuga de pollo", true, 10, 699, 70, Always),
    ("Carne y pescado", "CAR", "Carne", "Filete de ternera", true, 10, 1495, 35, Always),
    ("Carne y pescado", "CAR", "Carne", "Lomo de cerdo", true, 10, 649, 45, Always),
    ("Carne y pescado", "CAR", "Carne", "Carne picada mixta 500 g", false, 10, 429, 45, Always),
    ("Carne y pescado", "CAR", "Carne", "Cordero lechal", true, 10, 1890, 14, Christmas),
    ("Carne y pescado", "PES", "Pescado", "Merluza", true, 10, 1290, 35, Always),
    ("Carne y pescado", "PES", "Pescado", "Salmón", true, 10, 1495, 35, Always),
    ("Carne y pescado", "PES", "Pescado", "Gambas", true, 10, 1690, 20, Christmas),
    ("Carne y pescado", "PES", "Pescado", "Sardina", true, 10, 549, 20, Summer),
    ("Carne y pescado", "CHA", "Charcutería", "Jamón serrano 150 g", false, 10, 345, 60, Always),
    ("Carne y pescado", "CHA", "Charcutería", "Pavo en lonchas 200 g", false, 10, 255, 50, Always),
    ("Carne y pescado", "CHA", "Charcutería", "Chorizo 200 g", false, 10, 235, 30, Always),
    ("Lácteos y huevos", "LAC", "Leche", "Leche entera 1 l", false, 4, 109, 90, Always),
    ("Lácteos y huevos", "LAC", "Leche", "Leche semidesnatada 1 l", false, 4, 105, 110, Always),
    ("Lácteos y huevos", "LAC", "Leche", "Leche sin lactosa 1 l", false, 4, 119, 50, Always),
    ("Lácteos y huevos", "LAC", "Yogur", "Yogur natural 4 ud", false, 10, 95, 75, Always),
    ("Lácteos y huevos", "LAC", "Yogur", "Yogur griego 4 ud", false, 10, 165, 55, Always),
    ("Lácteos y huevos", "LAC", "Queso", "Queso curado 250 g", false, 4, 445, 45, Always),
    ("Lácteos y huevos", "LAC", "Queso", "Queso fresco 250 g", false, 4, 215, 40, Always),
    ("Lácteos y huevos", "LAC", "Mantequilla", "Mantequilla 250 g", false, 10, 275, 30, Always),
    ("Lácteos y huevos", "LAC", "Huevos", "Huevos camperos 12 ud", false, 4, 325, 85, Always),
    ("Panadería", "PAN", "Pan", "Barra de pan", false, 4, 65, 120, Always),
    ("Panadería", "PAN", "Pan", "Pan de molde integral", false, 4, 169, 60, Always),
    ("Panadería", "PAN", "Bollería", "Cruasán 4 ud", false, 10, 199, 40, Always),
    ("Panadería", "PAN", "Bollería", "Magdalenas 12 ud", false, 10, 215, 40, Always),
    ("Panadería", "PAN", "Bollería", "Roscón de Reyes", false, 10, 1190, 16, Christmas),
    ("Despensa", "DES", "Aceite", "Aceite de oliva virgen extra 1 l", false, 4, 895, 60, Always),
    ("Despensa", "DES", "Aceite", "Aceite de girasol 1 l", false, 10, 179, 35, Always),
    ("Despensa", "DES", "Arroz y legumbre", "Arroz redondo 1 kg", false, 4, 145, 50, Always),
    ("Despensa", "DES", "Arroz y legumbre", "Lenteja pardina 1 kg", false, 4, 225, 35, Always),
    ("Despensa", "DES", "Arroz y legumbre", "Garbanzo cocido 400 g", false, 4, 95, 45, Always),
    ("Despensa", "DES", "Pasta", "Macarrones 500 g", false, 10, 95, 50, Always),
    ("Despensa", "DES", "Pasta", "Espaguetis 500 g", false, 10, 95, 45, Always),
    ("Despensa", "DES", "Salsas", "Tomate frito 350 g", false, 10, 89, 60, Always),
    ("Despensa", "DES", "Salsas", "Mayonesa 450 ml", false, 10, 215, 30, Always),
    ("Despensa", "DES", "Conservas", "Atún en aceite 3 latas", false, 10, 285, 65, Always),
    ("Despensa", "DES", "Conservas", "Mejillones en escabeche", false, 10, 245, 25, Always),
    ("Despensa", "DES", "Conservas", "Aceitunas rellenas", false, 10, 119, 35, Always),
    ("Despensa", "DES", "Desayuno", "Cereales de avena 500 g", false, 10, 265, 35, Always),
    ("Despensa", "DES", "Desayuno", "Galletas María 800 g", false, 10, 195, 50, Always),
    ("Despensa", "DES", "Desayuno", "Café molido 250 g", false, 10, 325, 55, Always),
    ("Despensa", "DES", "Desayuno", "Cacao soluble 500 g", false, 10, 345, 30, Always),
    ("Despensa", "DES", "Dulces", "Chocolate negro 100 g", false, 10, 149, 45, Always),
    ("Despensa", "DES", "Dulces", "Turrón de Jijona 250 g", false, 10, 495, 60, Christmas),
    ("Despensa", "DES", "Dulces", "Polvorones 400 g", false, 10, 375, 40, Christmas),
    ("Despensa", "DES", "Aperitivos", "Patatas fritas 170 g", false, 10, 155, 60, Always),
    ("Despensa", "DES", "Aperitivos", "Frutos secos 200 g", false, 10, 225, 35, Always),
    ("Congelados", "CON", "Platos", "Pizza margarita", false, 10, 285, 45, Always),
    ("Congelados", "CON", "Platos", "Croquetas de jamón 500 g", false, 10, 315, 35, Always),
    ("Congelados", "CON", "Verdura", "Guisantes 1 kg", false, 4, 199, 30, Always),
    ("Congelados", "CON", "Pescado", "Filetes de merluza 400 g", false, 10, 545, 30, Always),
    ("Congelados", "CON", "Helados", "Helado de vainilla 1 l", false, 10, 345, 50, Summer),
    ("Congelados", "CON", "Helados", "Cucuruchos 6 ud", false, 10, 325, 45, Summer),
    ("Bebidas", "BEB", "Agua", "Agua mineral 6 × 1,5 l", false, 10, 215, 85, Always),
    ("Bebidas", "BEB", "Refrescos", "Refresco de cola 2 l", false, 21, 185, 60, Always),
    ("Bebidas", "BEB", "Refrescos", "Refresco de naranja 2 l", false, 21, 165, 40, Always),
    ("Bebidas", "BEB", "Zumos", "Zumo de naranja 1 l", false, 10, 195, 45, Always),
    ("Bebidas", "BEB", "Zumos", "Gazpacho 1 l", false, 10, 265, 55, Summer),
    ("Bebidas", "BEB", "Cerveza", "Cerveza 12 latas", false, 21, 695, 55, Always),
    ("Bebidas", "BEB", "Vino", "Vino tinto crianza", false, 21, 545, 40, Always),
    ("Bebidas", "BEB", "Vino", "Vino blanco verdejo", false, 21, 465, 30, Always),
    ("Bebidas", "BEB", "Vino", "Cava brut", false, 21, 595, 35, Christmas),
    ("Hogar", "HOG", "Limpieza", "Detergente líquido 40 lavados", false, 21, 795, 40, Always),
    ("Hogar", "HOG", "Limpieza", "Lavavajillas 750 ml", false, 21, 195, 35, Always),
    ("Hogar", "HOG", "Limpieza", "Lejía 2 l", false, 21, 145, 30, Always),
    ("Hogar", "HOG", "Papel", "Papel higiénico 12 rollos", false, 21, 465, 65, Always),
    ("Hogar", "HOG", "Papel", "Papel de cocina 3 rollos", false, 21, 285, 45, Always),
    ("Hogar", "HOG", "Menaje", "Bolsas de basura 30 l", false, 21, 165, 40, Always),
    ("Higiene", "HIG", "Cuerpo", "Gel de ducha 750 ml", false, 21, 245, 40, Always),
    ("Higiene", "HIG", "Cuerpo", "Champú 400 ml", false, 21, 295, 35, Always),
    ("Higiene", "HIG", "Cuerpo", "Desodorante 200 ml", false, 21, 265, 30, Always),
    ("Higiene", "HIG", "Boca", "Dentífrico 75 ml", false, 21, 195, 40, Always),
    ("Higiene", "HIG", "Sol", "Protector solar 50+ 200 ml", false, 21, 1095, 30, Summer),
    ("Bebé y mascotas", "BEM", "Bebé", "Pañales talla 4", false, 10, 1095, 20, Always),
    ("Bebé y mascotas", "BEM", "Bebé", "Toallitas 72 ud", false, 21, 145, 25, Always),
    ("Bebé y mascotas", "BEM", "Mascotas", "Pienso para perro 3 kg", false, 10, 895, 22, Always),
    ("Bebé y mascotas", "BEM", "Mascotas", "Comida húmeda para gato 12 ud", false, 10, 545, 25, Always),
];

/// The chain's own brand and the ones it buys, with what they cost and sell, in percent.
const BRANDS: [(&str, i64, u32); 4] = [
    ("Colmado", 85, 100),
    ("Valdoro", 118, 60),
    ("Casa Lucena", 128, 35),
    ("Monte Real", 145, 15),
];

/// Everything the chain sells.
#[derive(Debug)]
pub struct Catalogue {
    seed: u64,
    products: Vec<Product>,
    popularity: Vec<u32>,
}

impl Catalogue {
    /// The catalogue; only promotions depend on the seed.
    pub fn new(seed: u64) -> Self {
        let mut products = Vec::new();
        for &(category, code, subcategory, name, by_weight, tax, price, popularity, season) in ROWS {
            let brands = if by_weight || category == "Frutas y verduras" {
                &[("", 100, 100)][..]
            } else {
                &BRANDS[..]
            };
            for &(brand, price_percent, popularity_percent) in brands {
                let number = products.len() as u32 + 1;
                products.push(Product {
                    article: 100_000 + number * 7,
                    sku: format!("{code}-{number:04}"),
                    name: if brand.is_empty() {
                        name.to_owned()
                    } else {
                        format!("{name} {brand}")
                    },
                    brand: (!brand.is_empty()).then_some(brand),
                    category,
                    subcategory,
                    by_weight,
                    tax,
                    base_price: price * price_percent / 100,
                    popularity: popularity * popularity_percent / 100 + 1,
                    season,
                });
            }
        }
        let popularity = products.iter().map(|product| product.popularity).collect();
        Self {
            seed,
            products,
            popularity,
        }
    }

    /// All products.
    pub fn products(&self) -> &[Product] {
        &self.products
    }

    /// A product as likely as it is popular, whatever the season.
    pub fn popular(&self, random: &mut Random) -> usize {
        random.weighted(&self.popularity)
    }

    /// Whether people look for it in this month.
    pub fn in_season(&self, product: usize, month: Month) -> bool {
        self.products[product].season.includes(month.of_year())
    }

    /// Its price in cents with VAT: prices rise by 0.8 % a quarter and end in 5 or 9.
    pub fn price(&self, product: usize, day: Day) -> i64 {
        let quarter = i64::from(Month::of(day).0 / 3);
        let price = self.products[product].base_price * (1000 + 8 * quarter) / 1000;
        if price % 10 <= 5 {
            price / 10 * 10 + 5
        } else {
            price / 10 * 10 + 9
        }
    }

    /// The discount in percent if it is promoted in this week: one product in 25 is.
    pub fn promotion(&self, product: usize, day: Day) -> u32 {
        let week = day.div_euclid(7) as u64;
        let mut random = Random::new(self.seed, Topic::Price, [product as u64, week]);
        if random.chance(40) {
            *random.pick(&[10, 15, 20, 25, 30])
        } else {
            0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_prices_are_prices() {
        let catalogue = Catalogue::new(1);
        let products = catalogue.products();
        assert!((250..400).contains(&products.len()), "{} products", products.len());
        assert_eq!(
            products
                .iter()
                .map(|product| &product.sku)
                .collect::<HashSet<_>>()
                .len(),
            products.len()
        );
        for index in 0..products.len() {
            let (first, last) = (catalogue.price(index, 0), catalogue.price(index, 730));
            assert!(
                (45..3_000).contains(&first) && first <= last && last <= first * 107 / 100 + 10,
                "{first} {last}"
            );
            assert!([5, 9].contains(&(first % 10)));
        }
    }

    #[test]
    fn a_few_products_are_promoted_each_week() {
        let catalogue = Catalogue::new(1);
        let all = catalogue.products().len() * 104;
        let promoted = (0..104)
            .flat_map(|week| (0..catalogue.products().len()).map(move |product| (product, week * 7)))
            .filter(|&(product, day)| catalogue.promotion(product, day) > 0)
            .count();
        assert!(
            (all * 3 / 100..all * 5 / 100).contains(&promoted),
            "{promoted} of {all}"
        );
    }
}
