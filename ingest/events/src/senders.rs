//! Who takes how much: so many places an address, so that one sender cannot take them all.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};

use cordada_core::threads::locked;

/// Places that senders have, by their addresses. Whoever has an IPv6 address has 64 bits of them, which count as one.
#[derive(Clone)]
pub(super) struct Senders {
    taken: Arc<Mutex<HashMap<IpAddr, usize>>>,
    limit: usize,
}

/// A place, until it is dropped.
pub(super) struct SenderPlace {
    senders: Senders,
    sender: IpAddr,
}

impl Senders {
    /// At most `limit` places an address.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            taken: Arc::default(),
            limit,
        }
    }

    /// A place for the address; `None` if it has all that it may have.
    pub(super) fn enter(&self, address: IpAddr) -> Option<SenderPlace> {
        let sender = sender_of(address);
        let mut taken = locked(&self.taken);
        let places = taken.entry(sender).or_default();
        if *places >= self.limit {
            return None;
        }
        *places += 1;
        Some(SenderPlace {
            senders: self.clone(),
            sender,
        })
    }
}

impl Drop for SenderPlace {
    fn drop(&mut self) {
        let mut taken = locked(&self.senders.taken);
        if let Some(places) = taken.get_mut(&self.sender) {
            *places -= 1;
            if *places == 0 {
                taken.remove(&self.sender);
            }
        }
    }
}

fn sender_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (!0 << 64)).into(),
        address => address,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn each_sender_has_so_many_places_and_gives_them_back() {
        let senders = Senders::new(2);
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = senders.enter(address("192.0.2.1")).unwrap();
        let second = senders.enter(address("::ffff:192.0.2.1")).unwrap();
        assert!(senders.enter(address("192.0.2.1")).is_none());
        let other = senders.enter(address("192.0.2.2")).unwrap();
        drop(first);
        let third = senders.enter(address("192.0.2.1")).unwrap();
        let of_network = [
            senders.enter(address("2001:db8::1")),
            senders.enter(address("2001:db8::2")),
        ];
        assert!(senders.enter(address("2001:db8::ffff")).is_none());
        assert!(senders.enter(address("2001:db8:0:1::1")).is_some());
        drop((second, other, third, of_network));
        assert!(locked(&senders.taken).is_empty());
    }
}
