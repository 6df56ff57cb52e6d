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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_has_its_code_and_what_there_is_to_say() {
        let why = || "why".to_owned();
        for (refusal, code, reason) in [
            (Refusal::refused("why"), "ERR_ATTACH_REFUSED", "why"),
            (Refusal::Unclean, "ERR_HEAP_UNCLEAN", ""),
            (Refusal::Busy, "ERR_HEAP_BUSY", ""),
            (Refusal::Full, "ERR_ATTACH_FULL", ""),
            (Refusal::OutOfMemory(why()), "ERR_OUT_OF_MEMORY", "why"),
            (Refusal::Unavailable(why()), "ERR_STORAGE_UNAVAILABLE", "why"),
        ] {
            assert_eq!((refusal.code(), refusal.reason()), (code, reason));
        }
    }

    #[test]
    fn what_the_system_says_becomes_the_refusal_that_it_is() {
        for (kind, code) in [
            (io::ErrorKind::TimedOut, "ERR_HEAP_BUSY"),
            (io::ErrorKind::Unsupported, "ERR_STORAGE_UNAVAILABLE"),
            (io::ErrorKind::StorageFull, "ERR_OUT_OF_MEMORY"),
            (io::ErrorKind::QuotaExceeded, "ERR_OUT_OF_MEMORY"),
            (io::ErrorKind::FileTooLarge, "ERR_OUT_OF_MEMORY"),
            (io::ErrorKind::OutOfMemory, "ERR_OUT_OF_MEMORY"),
            (io::ErrorKind::PermissionDenied, "ERR_ATTACH_REFUSED"),
        ] {
            assert_eq!(Refusal::from(io::Error::from(kind)).code(), code);
        }
    }
}
