#![no_main]

use std::sync::LazyLock;

use cordada_query::fuzzing::Planner;
use cordada_query_contract::Shop;

/// The lake that statements are planned over.
static SHOP: LazyLock<(Planner, Shop)> = LazyLock::new(|| {
    let mut shop = None;
    let planner = Planner::new(async { shop.insert(Shop::fill().await).lake.clone() });
    (planner, shop.expect("it was just filled"))
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| SHOP.0.statement(data));
