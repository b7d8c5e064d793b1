//! The columns that each protocol's hits land in: all of them from the first load on, so that SQL can name them
//! before the first visitor has done what fills them.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field};
use cordada_ingest_formats::values::evidence::timestamp;

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    Integer,
    Double,
    /// Money: four digits after the point, so that no currency and no unit price is rounded.
    Money,
    Boolean,
    Time,
    /// Whatever a site sends, as JSON text: a struct would let any visitor add columns to the table.
    Json,
    /// The items of an order.
    Items,
}

impl Kind {
    /// The column's type in the lake.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Kind::Text | Kind::Json => DataType::Utf8,
            Kind::Integer => DataType::Int64,
            Kind::Double => DataType::Float64,
            Kind::Money => DataType::Decimal128(18, 4),
            Kind::Boolean => DataType::Boolean,
            Kind::Time => timestamp(),
            Kind::Items => {
                let list = |item: DataType| DataType::List(Arc::new(Field::new("element", item, true)));
                let fields = [
                    ("sku", DataType::Utf8),
                    ("name", DataType::Utf8),
                    ("categories", list(DataType::Utf8)),
                    ("price", Kind::Money.data_type()),
                    ("quantity", DataType::Float64),
                ];
                let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
                list(DataType::Struct(fields.to_vec().into()))
            }
        }
    }
}

/// A column, and which kind of personal data it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) pii: Option<&'static str>,
    pub(crate) anonymous: Anonymous,
}

/// What stays of a column of a visitor who is not to be recognised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Anonymous {
    /// Nothing.
    Nothing,
    /// All of it, but for the addresses of e-mail and of machines in a text.
    Impersonal,
    /// An address without its query and fragment.
    PlainAddress,
    /// Of free-form JSON what is known to say nothing of a person.
    Harmless,
}

/// The name of the column for what no other column takes.
pub(crate) const EXTRA: &str = "extra";

const fn column(name: &'static str, kind: Kind) -> Column {
    Column {
        name,
        kind,
        pii: None,
        anonymous: Anonymous::Impersonal,
    }
}

const fn text(name: &'static str) -> Column {
    column(name, Kind::Text)
}

/// What tells one visitor from another.
const fn personal(name: &'static str, pii: &'static str) -> Column {
    Column {
        pii: Some(pii),
        anonymous: Anonymous::Nothing,
        ..text(name)
    }
}

/// The address of a page: sites put into it who looks at it.
const fn address(name: &'static str) -> Column {
    Column {
        pii: Some("url"),
        anonymous: Anonymous::PlainAddress,
        ..text(name)
    }
}

/// Text of a site's or a visitor's own making.
const fn free_text(name: &'static str) -> Column {
    Column {
        pii: Some("free_text"),
        ..text(name)
    }
}

/// JSON of a site's own making.
const fn free_form(name: &'static str) -> Column {
    Column {
        pii: Some("free_form"),
        anonymous: Anonymous::Harmless,
        ..column(name, Kind::Json)
    }
}

/// Columns of every protocol.
const COMMON: &[Column] = &[
    text("event_id"),
    text("event"),
    column("collector_tstamp", Kind::Time),
    column("derived_tstamp", Kind::Time),
    personal("user_id", "id"),
    personal("user_ipaddress", "ip"),
    text("useragent"),
    text("br_lang"),
    address("page_url"),
    free_text("page_title"),
    address("page_referrer"),
    text("page_urlscheme"),
    text("page_urlhost"),
    column("page_urlport", Kind::Integer),
    free_text("page_urlpath"),
    personal("page_urlquery", "url"),
    personal("page_urlfragment", "url"),
    text("refr_urlscheme"),
    text("refr_urlhost"),
    column("refr_urlport", Kind::Integer),
    free_text("refr_urlpath"),
    personal("refr_urlquery", "url"),
    personal("refr_urlfragment", "url"),
    text("mkt_medium"),
    text("mkt_source"),
    text("mkt_term"),
    text("mkt_content"),
    text("mkt_campaign"),
    personal("mkt_clickid", "id"),
    text("mkt_network"),
];

/// Columns of Snowplow's hits, by their names in Snowplow's own `atomic.events`.
const SNOWPLOW: &[Column] = &[
    text("event_vendor"),
    text("event_name"),
    text("event_format"),
    text("event_version"),
    text("app_id"),
    text("platform"),
    text("name_tracker"),
    text("v_tracker"),
    text("txn_id"),
    column("dvce_created_tstamp", Kind::Time),
    column("dvce_sent_tstamp", Kind::Time),
    column("true_tstamp", Kind::Time),
    personal("user_fingerprint", "id"),
    personal("domain_userid", "id"),
    column("domain_sessionidx", Kind::Integer),
    personal("domain_sessionid", "id"),
    personal("network_userid", "id"),
    text("page_view_id"),
    text("se_category"),
    text("se_action"),
    free_text("se_label"),
    free_text("se_property"),
    column("se_value", Kind::Double),
    text("tr_orderid"),
    text("tr_affiliation"),
    column("tr_total", Kind::Money),
    column("tr_tax", Kind::Money),
    column("tr_shipping", Kind::Money),
    text("tr_city"),
    text("tr_state"),
    text("tr_country"),
    text("tr_currency"),
    text("ti_orderid"),
    text("ti_sku"),
    text("ti_name"),
    text("ti_category"),
    column("ti_price", Kind::Money),
    column("ti_quantity", Kind::Integer),
    text("ti_currency"),
    column("pp_xoffset_min", Kind::Integer),
    column("pp_xoffset_max", Kind::Integer),
    column("pp_yoffset_min", Kind::Integer),
    column("pp_yoffset_max", Kind::Integer),
    column("br_cookies", Kind::Boolean),
    text("br_colordepth"),
    column("br_viewwidth", Kind::Integer),
    column("br_viewheight", Kind::Integer),
    text("os_timezone"),
    column("dvce_screenwidth", Kind::Integer),
    column("dvce_screenheight", Kind::Integer),
    text("doc_charset"),
    column("doc_width", Kind::Integer),
    column("doc_height", Kind::Integer),
    free_form("contexts"),
    free_form("unstruct_event"),
];

/// Columns of Matomo's hits: the parameters of its Tracking HTTP API under names that can be read.
const MATOMO: &[Column] = &[
    text("site_id"),
    personal("visitor_id", "id"),
    text("page_view_id"),
    column("new_visit", Kind::Boolean),
    text("event_category"),
    text("event_action"),
    text("event_name"),
    column("event_value", Kind::Double),
    text("goal_id"),
    text("order_id"),
    column("revenue", Kind::Money),
    column("subtotal", Kind::Money),
    column("tax", Kind::Money),
    column("shipping", Kind::Money),
    column("discount", Kind::Money),
    column("items", Kind::Items),
    text("product_sku"),
    text("product_name"),
    text("product_category"),
    column("product_price", Kind::Money),
    address("link"),
    address("download"),
    free_text("search"),
    text("search_category"),
    column("search_count", Kind::Integer),
    free_text("content_name"),
    free_text("content_piece"),
    address("content_target"),
    text("content_interaction"),
    column("dvce_screenwidth", Kind::Integer),
    column("dvce_screenheight", Kind::Integer),
    column("br_cookies", Kind::Boolean),
    column("time_network", Kind::Integer),
    column("time_server", Kind::Integer),
    column("time_transfer", Kind::Integer),
    column("time_dom_processing", Kind::Integer),
    column("time_dom_completion", Kind::Integer),
    column("time_on_load", Kind::Integer),
    text("country"),
    text("region"),
    text("city"),
    free_form("dimensions"),
    free_form("custom_variables"),
    free_form("page_custom_variables"),
];

/// Columns of Segment's messages: the fields of its specification.
const SEGMENT: &[Column] = &[
    text("type"),
    // Of a page, or whatever a site calls so: a person too.
    personal("name", "free_text"),
    text("category"),
    personal("anonymous_id", "id"),
    personal("previous_id", "id"),
    text("group_id"),
    column("original_timestamp", Kind::Time),
    column("sent_at", Kind::Time),
    text("library_name"),
    text("library_version"),
    text("channel"),
    text("os_timezone"),
    column("dvce_screenwidth", Kind::Integer),
    column("dvce_screenheight", Kind::Integer),
    text("order_id"),
    column("revenue", Kind::Money),
    column("total", Kind::Money),
    column("value", Kind::Money),
    text("currency"),
    text("product_id"),
    text("sku"),
    free_form("properties"),
    Column {
        kind: Kind::Json,
        ..personal("traits", "traits")
    },
    free_form("context"),
    free_form("integrations"),
];

/// The column that all hits have last.
const LAST: Column = free_form(EXTRA);

/// How a hit is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Protocol {
    Snowplow,
    Matomo,
    Segment,
}

impl Protocol {
    /// All of them: the streams of a source that names none.
    pub(crate) const ALL: [Protocol; 3] = [Protocol::Snowplow, Protocol::Matomo, Protocol::Segment];

    /// Its name, and that of its stream by default.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Protocol::Snowplow => "snowplow",
            Protocol::Matomo => "matomo",
            Protocol::Segment => "segment",
        }
    }

    /// The columns that its hits land in, in their order.
    pub(crate) fn columns(self) -> impl Iterator<Item = &'static Column> {
        let own = match self {
            Protocol::Snowplow => SNOWPLOW,
            Protocol::Matomo => MATOMO,
            Protocol::Segment => SEGMENT,
        };
        COMMON.iter().chain(own).chain([&LAST])
    }

    /// The column of that name.
    pub(crate) fn column(self, name: &str) -> Option<&'static Column> {
        self.columns().find(|column| column.name == name)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use cordada_core::names::snake_case;

    use super::*;

    #[test]
    fn every_name_is_there_once_and_stays_as_it_is_in_the_lake() {
        for protocol in Protocol::ALL {
            let names: Vec<_> = protocol.columns().map(|column| column.name).collect();
            assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len());
            assert!(names.iter().all(|name| snake_case(name) == *name), "{names:?}");
            assert!(protocol.column(EXTRA).is_some());
        }
    }

    #[test]
    fn whatever_a_site_writes_freely_is_personal() {
        for protocol in Protocol::ALL {
            for column in protocol.columns().filter(|column| column.kind == Kind::Json) {
                assert!(column.pii.is_some(), "{}", column.name);
                assert_ne!(column.anonymous, Anonymous::Impersonal, "{}", column.name);
            }
            for name in [
                "page_url",
                "page_referrer",
                "page_urlquery",
                "page_title",
                "mkt_clickid",
            ] {
                assert!(protocol.column(name).unwrap().pii.is_some(), "{name}");
            }
        }
    }
}
