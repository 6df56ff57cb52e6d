//! Why a file is not attached.

use std::io;

/// Why, and what there is to say about it.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not a file that this process may, or can, attach.
    Refused(String),
    /// It was in use when the system stopped, or when it was copied: nobody knows what is missing.
    Unclean,
    /// A process keeps the lock and does not go on.
    Busy,
    /// As many processes as there can be have it.
    Full,
    /// The file system has no room, or the process no addresses.
    OutOfMemory(String),
    /// It cannot be done on this system, or in this file system.
    Unavailable(String),
}

impl Refusal {
    /// For that reason.
    pub fn refused(reason: &str) -> Self {
        Self::Refused(reason.into())
    }

    /// What `code` an error of JavaScript has for it.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused(_) => "ERR_ATTACH_REFUSED",
            Self::Unclean => "ERR_HEAP_UNCLEAN",
            Self::Busy => "ERR_HEAP_BUSY",
            Self::Full => "ERR_ATTACH_FULL",
            Self::OutOfMemory(_) => "ERR_OUT_OF_MEMORY",
            Self::Unavailable(_) => "ERR_STORAGE_UNAVAILABLE",
        }
    }

    /// The reason, as far as the code does not tell.
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(reason) | Self::OutOfMemory(reason) | Self::Unavailable(reason) => reason,
            Self::Unclean | Self::Busy | Self::Full => "",
        }
    }
}

impl From<io::Error> for Refusal {
    fn from(error: io::Error) -> Self {
        let reason = error.to_string();
        match error.kind() {
            io::ErrorKind::TimedOut => Self::Busy,
            io::ErrorKind::Unsupported => Self::Unavailable(reason),
            io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::FileTooLarge
            | io::ErrorKind::OutOfMemory => Self::OutOfMemory(reason),
            _ => Self::Refused(reason),
        }
    }
}
