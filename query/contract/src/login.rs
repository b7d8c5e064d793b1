//! Who is let in.

use crate::{Door, PASSWORD, Shop, answer, connect};

/// A wrong password and a user who does not exist are refused, and told the same.
pub async fn wrong_passwords_are_refused(_: &Shop, door: &impl Door) {
    // Whoever was let in before must not make it easier for others.
    assert_eq!(answer(&mut *connect(door, "root").await, "select 1").await, ["1"]);
    let mut told = Vec::new();
    for (user, password) in [
        ("root", "wrong"),
        ("root", ""),
        ("root", "root"),
        ("ana", "wrong"),
        ("stranger", PASSWORD),
        ("ROOT", PASSWORD),
    ] {
        match door.connect(user, password).await {
            Ok(_) => panic!("{user} is let in with `{password}`"),
            // A protocol may repeat the name that it was given.
            Err(message) => told.push(message.replace(user, "…")),
        }
    }
    assert!(told.iter().all(|message| *message == told[0]), "{told:?}");
    assert!(!told[0].contains(PASSWORD), "{}", told[0]);
    assert_eq!(answer(&mut *connect(door, "root").await, "select 1").await, ["1"]);
}
