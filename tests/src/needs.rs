//! What a case may need of the machine: it is looked for once, and reported by name.

use std::net::TcpListener;
use std::sync::OnceLock;

/// IPv6 on the loopback interface.
pub static IPV6: Need = Need::new("IPv6 loopback", || match TcpListener::bind("[::1]:0") {
    Ok(_) => Ok("::1".to_owned()),
    Err(error) => Err(format!("cannot listen on ::1: {error}")),
});

/// Something that is not to be had everywhere: a peer, a privilege.
pub struct Need {
    name: &'static str,
    look: fn() -> Result<String, String>,
    found: OnceLock<Result<String, String>>,
}

impl Need {
    /// `look` gives what was found, with its version, or why it cannot be had. It is asked once, by the first case that
    /// needs it.
    #[must_use]
    pub const fn new(name: &'static str, look: fn() -> Result<String, String>) -> Self {
        Self { name, look, found: OnceLock::new() }
    }

    /// What it is called in the report.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Looks, unless that has been done.
    pub fn find(&self) -> Result<&str, &str> {
        match self.found.get_or_init(self.look) {
            Ok(found) => Ok(found),
            Err(why) => Err(why),
        }
    }

    /// A line of the report; `None` if nobody has looked for it.
    pub(crate) fn line(&self) -> Option<String> {
        let name = self.name;
        Some(match self.found.get()? {
            Ok(found) => format!("{name}: {found}"),
            Err(why) => format!("skipped: {name}: {why}"),
        })
    }
}
