//! The 52 provinces of Spain, as open data publishes them.
//!
//! Codes are those of the National Statistics Institute, which are also the first two digits of a postal code.
//! Population is the municipal register's of 1 January 2022 in thousands; coordinates are the capital's.

/// A province.
#[derive(Debug)]
pub struct Province {
    /// Two digits.
    pub code: &'static str,
    /// Official name.
    pub name: &'static str,
    /// Autonomous community.
    pub community: &'static str,
    /// Where its government sits.
    pub capital: &'static str,
    /// Inhabitants, in thousands.
    pub thousands: u32,
    /// Degrees north of the capital.
    pub latitude: f64,
    /// Degrees east of the capital.
    pub longitude: f64,
}

const fn province(
    code: &'static str,
    name: &'static str,
    community: &'static str,
    capital: &'static str,
    thousands: u32,
    latitude: f64,
    longitude: f64,
) -> Province {
    Province {
        code,
        name,
        community,
        capital,
        thousands,
        latitude,
        longitude,
    }
}

/// All of them, by code.
pub const PROVINCES: [Province; 52] = [
    province(
        "01",
        "Araba/Álava",
        "País Vasco",
        "Vitoria-Gasteiz",
        334,
        42.8467,
        -2.6716,
    ),
    province(
        "02",
        "Albacete",
        "Castilla-La Mancha",
        "Albacete",
        386,
        38.9943,
        -1.8585,
    ),
    province(
        "03",
        "Alicante/Alacant",
        "Comunitat Valenciana",
        "Alicante",
        1901,
        38.3452,
        -0.4810,
    ),
    province("04", "Almería", "Andalucía", "Almería", 741, 36.8340, -2.4637),
    province("05", "Ávila", "Castilla y León", "Ávila", 159, 40.6567, -4.6818),
    province("06", "Badajoz", "Extremadura", "Badajoz", 669, 38.8794, -6.9707),
    province("07", "Balears, Illes", "Illes Balears", "Palma", 1177, 39.5696, 2.6502),
    province("08", "Barcelona", "Cataluña", "Barcelona", 5728, 41.3874, 2.1686),
    province("09", "Burgos", "Castilla y León", "Burgos", 356, 42.3439, -3.6969),
    province("10", "Cáceres", "Extremadura", "Cáceres", 389, 39.4753, -6.3724),
    province("11", "Cádiz", "Andalucía", "Cádiz", 1247, 36.5271, -6.2886),
    province(
        "12",
        "Castellón/Castelló",
        "Comunitat Valenciana",
        "Castellón de la Plana",
        588,
        39.9864,
        -0.0513,
    ),
    province(
        "13",
        "Ciudad Real",
        "Castilla-La Mancha",
        "Ciudad Real",
        491,
        38.9848,
        -3.9274,
    ),
    province("14", "Córdoba", "Andalucía", "Córdoba", 773, 37.8882, -4.7794),
    province("15", "Coruña, A", "Galicia", "A Coruña", 1121, 43.3623, -8.4115),
    province("16", "Cuenca", "Castilla-La Mancha", "Cuenca", 196, 40.0704, -2.1374),
    province("17", "Girona", "Cataluña", "Girona", 793, 41.9794, 2.8214),
    province("18", "Granada", "Andalucía", "Granada", 922, 37.1773, -3.5986),
    province(
        "19",
        "Guadalajara",
        "Castilla-La Mancha",
        "Guadalajara",
        269,
        40.6325,
        -3.1602,
    ),
    province(
        "20",
        "Gipuzkoa",
        "País Vasco",
        "Donostia/San Sebastián",
        727,
        43.3183,
        -1.9812,
    ),
    province("21", "Huelva", "Andalucía", "Huelva", 529, 37.2614, -6.9447),
    province("22", "Huesca", "Aragón", "Huesca", 225, 42.1362, -0.4087),
    province("23", "Jaén", "Andalucía", "Jaén", 624, 37.7796, -3.7849),
    province("24", "León", "Castilla y León", "León", 449, 42.5987, -5.5671),
    province("25", "Lleida", "Cataluña", "Lleida", 442, 41.6176, 0.6200),
    province("26", "Rioja, La", "La Rioja", "Logroño", 320, 42.4627, -2.4450),
    province("27", "Lugo", "Galicia", "Lugo", 325, 43.0097, -7.5568),
    province("28", "Madrid", "Comunidad de Madrid", "Madrid", 6751, 40.4168, -3.7038),
    province("29", "Málaga", "Andalucía", "Málaga", 1718, 36.7213, -4.4214),
    province("30", "Murcia", "Región de Murcia", "Murcia", 1532, 37.9922, -1.1307),
    province(
        "31",
        "Navarra",
        "Comunidad Foral de Navarra",
        "Pamplona/Iruña",
        664,
        42.8125,
        -1.6458,
    ),
    province("32", "Ourense", "Galicia", "Ourense", 305, 42.3358, -7.8639),
    province(
        "33",
        "Asturias",
        "Principado de Asturias",
        "Oviedo",
        1005,
        43.3614,
        -5.8593,
    ),
    province("34", "Palencia", "Castilla y León", "Palencia", 158, 42.0096, -4.5288),
    province(
        "35",
        "Palmas, Las",
        "Canarias",
        "Las Palmas de Gran Canaria",
        1131,
        28.1235,
        -15.4363,
    ),
    province("36", "Pontevedra", "Galicia", "Pontevedra", 944, 42.4310, -8.6444),
    province("37", "Salamanca", "Castilla y León", "Salamanca", 327, 40.9701, -5.6635),
    province(
        "38",
        "Santa Cruz de Tenerife",
        "Canarias",
        "Santa Cruz de Tenerife",
        1047,
        28.4636,
        -16.2518,
    ),
    province("39", "Cantabria", "Cantabria", "Santander", 586, 43.4623, -3.8100),
    province("40", "Segovia", "Castilla y León", "Segovia", 154, 40.9429, -4.1088),
    province("41", "Sevilla", "Andalucía", "Sevilla", 1948, 37.3891, -5.9845),
    province("42", "Soria", "Castilla y León", "Soria", 89, 41.7640, -2.4688),
    province("43", "Tarragona", "Cataluña", "Tarragona", 824, 41.1189, 1.2445),
    province("44", "Teruel", "Aragón", "Teruel", 134, 40.3456, -1.1065),
    province("45", "Toledo", "Castilla-La Mancha", "Toledo", 717, 39.8628, -4.0273),
    province(
        "46",
        "Valencia/València",
        "Comunitat Valenciana",
        "València",
        2605,
        39.4699,
        -0.3763,
    ),
    province(
        "47",
        "Valladolid",
        "Castilla y León",
        "Valladolid",
        518,
        41.6523,
        -4.7245,
    ),
    province("48", "Bizkaia", "País Vasco", "Bilbao", 1148, 43.2630, -2.9350),
    province("49", "Zamora", "Castilla y León", "Zamora", 167, 41.5034, -5.7467),
    province("50", "Zaragoza", "Aragón", "Zaragoza", 970, 41.6488, -0.8891),
    province("51", "Ceuta", "Ceuta", "Ceuta", 83, 35.8894, -5.3213),
    province("52", "Melilla", "Melilla", "Melilla", 85, 35.2923, -2.9381),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete() {
        for (index, province) in PROVINCES.iter().enumerate() {
            assert_eq!(province.code.parse::<usize>(), Ok(index + 1));
            assert!((27.0..44.0).contains(&province.latitude) && (-18.5..4.5).contains(&province.longitude));
        }
        let spain: u32 = PROVINCES.iter().map(|province| province.thousands).sum();
        assert!((47_400..47_550).contains(&spain), "{spain} thousand inhabitants");
    }
}
