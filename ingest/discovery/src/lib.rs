//! Which files there are, on disks, in object stores, on web servers and behind FTP and SFTP, and how they get onto a
//! local disk.

pub mod discover;
mod natural;
mod remote;
