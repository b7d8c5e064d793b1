//! The project that the demo is: configuration, sources, a campaign, and the SQL project that ships with the binary.

use std::path::Path;

use cordada_core::{Context, Result};

use super::server::PORT;

/// A file of the SQL project that ships with the binary: its path below `sql/` and its text.
macro_rules! sql {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../sql/", $path)))),*]
    };
}

/// A file of the demo's project: its path and its text.
macro_rules! demo {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../examples/demo/", $path)))),*]
    };
}

/// The SQL project, by path below `sql/`.
pub const SQL: &[(&str, &str)] = sql![
    "dbt_project.yml",
    "macros/golden_rules.sql",
    "macros/identity.sql",
    "macros/money.sql",
    "macros/survivorship.sql",
    "macros/time.sql",
    "macros/unique_combination.sql",
    "marts/_marts.yml",
    "marts/cohort_retention.sql",
    "marts/consents.sql",
    "marts/customer_changes.sql",
    "marts/customer_identifiers.sql",
    "marts/customer_records.sql",
    "marts/customer_scores.sql",
    "marts/customer_segments.sql",
    "marts/customer_visits.sql",
    "marts/customers.sql",
    "marts/golden_record.sql",
    "marts/monthly_revenue.sql",
    "marts/orders.sql",
    "marts/product_performance.sql",
    "marts/rfm.sql",
    "marts/web_funnel.sql",
    "seeds/_seeds.yml",
    "seeds/identity_decisions.csv",
    "seeds/rfm_segments.csv",
    "staging/_erp.yml",
    "staging/_office.yml",
    "staging/_open.yml",
    "staging/_shop.yml",
    "staging/_web.yml",
    "staging/stg_erp__cards.sql",
    "staging/stg_erp__consents.sql",
    "staging/stg_erp__ticket_lines.sql",
    "staging/stg_erp__tickets.sql",
    "staging/stg_office__products.sql",
    "staging/stg_office__stores.sql",
    "staging/stg_open__provinces.sql",
    "staging/stg_shop__carts.sql",
    "staging/stg_shop__consents.sql",
    "staging/stg_shop__customers.sql",
    "staging/stg_shop__orders.sql",
    "staging/stg_web__events.sql",
    "staging/stg_web__page_views.sql",
    "staging/stg_web__sessions.sql",
    "tests/assert_a_linked_card_is_one_customer.sql",
    "tests/assert_carts_and_orders_agree.sql",
    "tests/assert_every_golden_value_is_in_its_record.sql",
    "tests/assert_monthly_revenue_is_complete.sql",
    "tests/assert_order_totals_equal_their_lines.sql",
    "warehouse/_dimensions.yml",
    "warehouse/_facts.yml",
    "warehouse/dim_customer.sql",
    "warehouse/dim_date.sql",
    "warehouse/dim_device.sql",
    "warehouse/dim_product.sql",
    "warehouse/dim_province.sql",
    "warehouse/dim_store.sql",
    "warehouse/fct_cart.sql",
    "warehouse/fct_consent.sql",
    "warehouse/fct_order.sql",
    "warehouse/fct_order_line.sql",
    "warehouse/fct_web_event.sql",
    "warehouse/int_customer_identity.sql",
    "warehouse/int_customer_records.sql",
    "warehouse/int_golden_customer.sql",
    "warehouse/persons.sql",
];

/// The rest of the demo's project, by path.
pub const DEMO: &[(&str, &str)] = demo![
    "campaigns/win_back.yml",
    "cordada.yml",
    "indicators/customers.yml",
    "indicators/products.yml",
    "segments/lapsing.yml",
    "segments/loyal.yml",
    "shop-api.yml",
    "sources/erp.yml",
    "sources/office.yml",
    "sources/open.yml",
    "sources/shop.yml",
    "sources/web.yml",
];

/// Where the collector of web hits listens, unless somebody else does.
pub const COLLECTOR: u16 = 8461;

/// Writes the demo's project into `dir`, with the ports of its shop and its collector; files that are there already
/// stay as their owner left them.
///
/// # Errors
/// Files that cannot be written.
pub fn write_project(dir: &Path, shop: u16, collector: u16) -> Result<()> {
    let at = |port| format!("127.0.0.1:{port}");
    let placed = |text: &str| {
        let text = text.replace(&at(PORT), &at(shop));
        text.replace(&at(COLLECTOR), &at(collector))
    };
    let sql = SQL
        .iter()
        .map(|&(path, text)| (dir.join("sql").join(path), text.to_owned()));
    let demo = DEMO.iter().map(|&(path, text)| (dir.join(path), placed(text)));
    for (path, text) in sql.chain(demo) {
        if path.exists() {
            continue;
        }
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).doing(|| format!("creating the folder {}", folder.display()))?;
        }
        std::fs::write(&path, text).doing(|| format!("writing {}", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    fn files(root: &Path) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut folders: Vec<PathBuf> = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else {
                    found.insert(path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/"));
                }
            }
        }
        found
    }

    #[test]
    fn the_binary_carries_every_file() {
        let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR").unwrap());
        let names = |carried: &[(&str, &str)]| {
            carried
                .iter()
                .map(|(path, _)| (*path).to_owned())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(names(SQL), files(&root.join("../sql")));
        assert_eq!(names(DEMO), files(&root.join("../examples/demo")));
    }

    #[test]
    fn what_the_owner_changed_stays() {
        let dir = tempfile::tempdir().unwrap();
        write_project(dir.path(), 9999, 9998).unwrap();
        let config = dir.path().join("cordada.yml");
        std::fs::write(&config, "name: mine\n").unwrap();
        write_project(dir.path(), 9999, 9998).unwrap();
        assert_eq!(std::fs::read_to_string(config).unwrap(), "name: mine\n");
        assert!(dir.path().join("sql/marts/customers.sql").is_file());
        let source = std::fs::read_to_string(dir.path().join("sources/shop.yml")).unwrap();
        assert!(source.contains("base_url: http://127.0.0.1:9999/api/v1"), "{source}");
        let source = std::fs::read_to_string(dir.path().join("sources/web.yml")).unwrap();
        assert!(source.contains("listen: 127.0.0.1:9998"), "{source}");
    }
}
