//! What was generated, in figures that the marts must reproduce.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

/// Counts and sums over everything that was generated. Money is in cents, VAT included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Persons.
    pub customers: u64,
    /// Loyalty cards in the ERP.
    pub cards: u64,
    /// Accounts in the shop.
    pub accounts: u64,
    /// Stores.
    pub stores: u64,
    /// Products.
    pub products: u64,
    /// Tickets of the stores, returns included.
    pub tickets: u64,
    /// Tickets without a loyalty card.
    pub anonymous_tickets: u64,
    /// Lines of those tickets.
    pub ticket_lines: u64,
    /// Orders of the shop, cancelled ones included.
    pub shop_orders: u64,
    /// Orders that were cancelled later.
    pub cancelled_orders: u64,
    /// Lines of the shop's orders, those of cancelled orders included.
    pub shop_order_lines: u64,
    /// Carts, ordered or not.
    pub carts: u64,
    /// Carts that were never ordered.
    pub abandoned_carts: u64,
    /// Web sessions.
    pub sessions: u64,
    /// Web events.
    pub web_events: u64,
    /// Web events that were delivered a second time.
    pub repeated_web_events: u64,
    /// Decisions about consent.
    pub consents: u64,
    /// Takings of the stores, returns deducted.
    pub store_revenue_cents: i64,
    /// Orders of the shop with shipping, without cancelled ones.
    pub shop_revenue_cents: i64,
    /// Bytes in the files of the systems.
    pub bytes: u64,
}

impl Summary {
    /// What the company took, in cents with VAT.
    pub fn revenue_cents(&self) -> i64 {
        self.store_revenue_cents + self.shop_revenue_cents
    }
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Self) {
        self.customers += other.customers;
        self.cards += other.cards;
        self.accounts += other.accounts;
        self.stores += other.stores;
        self.products += other.products;
        self.tickets += other.tickets;
        self.anonymous_tickets += other.anonymous_tickets;
        self.ticket_lines += other.ticket_lines;
        self.shop_orders += other.shop_orders;
        self.cancelled_orders += other.cancelled_orders;
        self.shop_order_lines += other.shop_order_lines;
        self.carts += other.carts;
        self.abandoned_carts += other.abandoned_carts;
        self.sessions += other.sessions;
        self.web_events += other.web_events;
        self.repeated_web_events += other.repeated_web_events;
        self.consents += other.consents;
        self.store_revenue_cents += other.store_revenue_cents;
        self.shop_revenue_cents += other.shop_revenue_cents;
        self.bytes += other.bytes;
    }
}
