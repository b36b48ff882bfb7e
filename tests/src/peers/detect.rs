//! Which peers are here. Each is looked for once in a process.

use std::env;
use std::ffi::{OsStr, OsString};
use std::process::Command;
use std::sync::OnceLock;

use super::process::Launch;
use super::{Available, Missing};

/// Programs that only root may want: they are not on everybody's `PATH`.
const SYSTEM_PROGRAMS: &str = "/usr/local/sbin:/usr/sbin";

/// Says the version of `ws`, or why it cannot be used.
const FIND_WS: &str = r#"
const [major, minor] = process.versions.node.split(".").map(Number);
try {
    if (major < 18 || (major === 18 && minor < 3)) throw new Error(`node ${process.version} is older than 18.3`);
    require("ws");
    console.log(require("ws/package.json").version);
} catch (error) {
    console.error(error.message.split("\n")[0]);
    process.exit(1);
}"#;

type Found = OnceLock<Result<Available, Missing>>;

/// Each peer, in the order of a report.
#[must_use]
pub fn all() -> Vec<Result<Available, Missing>> {
    vec![websockets(), aiohttp(), ws(), nginx(), tinyproxy(), microsocks()]
}

/// The WebSocket server of Python's `websockets`.
///
/// # Errors
/// If the interpreter is missing, the module is, or it is older than 13.
pub fn websockets() -> Result<Available, Missing> {
    static FOUND: Found = OnceLock::new();
    let imports = "import websockets.asyncio.server, websockets as module";
    FOUND.get_or_init(|| python("Python websockets", imports, &python_program())).clone()
}

/// The WebSocket server of Python's `aiohttp`.
///
/// # Errors
/// If the interpreter is missing, or the module is.
pub fn aiohttp() -> Result<Available, Missing> {
    static FOUND: Found = OnceLock::new();
    let imports = "import aiohttp.web, aiohttp as module";
    FOUND.get_or_init(|| python("Python aiohttp", imports, &python_program())).clone()
}

/// The WebSocket server of node's `ws`.
///
/// # Errors
/// If node is missing or older than 18.3, or the module is missing.
pub fn ws() -> Result<Available, Missing> {
    static FOUND: Found = OnceLock::new();
    FOUND.get_or_init(|| node(&env::var_os("TIDEGATE_NODE").unwrap_or_else(|| "node".into()))).clone()
}

/// nginx, with TLS.
///
/// # Errors
/// If it is missing, or was built without TLS.
pub fn nginx() -> Result<Available, Missing> {
    static FOUND: Found = OnceLock::new();
    FOUND.get_or_init(|| nginx_at("nginx".as_ref())).clone()
}

/// tinyproxy.
///
/// # Errors
/// If it is missing.
pub fn tinyproxy() -> Result<Available, Missing> {
    static FOUND: Found = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let launch = system_program("tinyproxy".as_ref());
            let output = run("tinyproxy", &launch, &["-v"])?;
            Ok(available("tinyproxy", output.text.strip_prefix("tinyproxy "), launch))
        })
        .clone()
}

/// microsocks.
///
/// # Errors
/// If it is missing.
pub fn microsocks() -> Result<Available, Missing> {
    static FOUND: Found = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let launch = system_program("microsocks".as_ref());
            // It shows its usage, which has no version, and its status is that of a mistake.
            run("microsocks", &launch, &["-h"])?;
            Ok(available("microsocks", debian_version("microsocks").as_deref(), launch))
        })
        .clone()
}

fn python_program() -> OsString {
    env::var_os("TIDEGATE_PYTHON").unwrap_or_else(|| "python3".into())
}

pub(super) fn python(name: &'static str, imports: &str, program: &OsStr) -> Result<Available, Missing> {
    // No caches beside our scripts.
    let launch = Launch {
        program: program.to_owned(),
        environment: vec![("PYTHONDONTWRITEBYTECODE", "1".into()), ("PYTHONUNBUFFERED", "1".into())],
    };
    let output = run(name, &launch, &["-c", &format!("{imports}; print(module.__version__)")])?;
    let version = output.successful(name, program)?;
    Ok(available(name, Some(&version), launch))
}

pub(super) fn node(program: &OsStr) -> Result<Available, Missing> {
    let name = "node ws";
    let given = Launch { program: program.to_owned(), environment: Vec::new() };
    match run(name, &given, &["-e", FIND_WS])?.successful(name, program) {
        Ok(version) => Ok(available(name, Some(&version), given)),
        Err(missing) => {
            let root = Command::new("npm").args(["root", "-g"]).output().map_err(|_| missing.clone())?;
            let root = String::from_utf8_lossy(&root.stdout).trim().to_owned();
            let global = Launch { environment: vec![("NODE_PATH", root.into())], ..given };
            let version =
                run(name, &global, &["-e", FIND_WS])?.successful(name, program).map_err(|_| missing)?;
            Ok(available(name, Some(&version), global))
        }
    }
}

pub(super) fn nginx_at(program: &OsStr) -> Result<Available, Missing> {
    let launch = system_program(program);
    let output = run("nginx", &launch, &["-V"])?;
    if !output.text.contains("--with-http_ssl_module") {
        return Err(Missing { name: "nginx", why: "it was built without http_ssl_module".to_owned() });
    }
    let version = output.text.lines().find_map(|line| line.split_once("nginx/")).map(|(_, version)| version);
    Ok(available("nginx", version, launch))
}

fn available(name: &'static str, version: Option<&str>, launch: Launch) -> Available {
    Available { name, version: version.map(str::to_owned), launch }
}

fn system_program(program: &OsStr) -> Launch {
    let mut path = env::var_os("PATH").unwrap_or_default();
    path.push(":");
    path.push(SYSTEM_PROGRAMS);
    Launch { program: program.to_owned(), environment: vec![("PATH", path)] }
}

/// For programs that tell no version themselves.
fn debian_version(package: &str) -> Option<String> {
    let output = Command::new("dpkg-query").args(["-W", "-f", "${Version}", package]).output().ok()?;
    String::from_utf8(output.stdout).ok().filter(|version| output.status.success() && !version.is_empty())
}

struct Output {
    success: bool,
    /// Both streams.
    text: String,
}

impl Output {
    /// The text, or as the reason its last line.
    fn successful(self, name: &'static str, program: &OsStr) -> Result<String, Missing> {
        if self.success {
            return Ok(self.text);
        }
        let reason = self.text.lines().last().unwrap_or("it failed without a word");
        Err(Missing { name, why: format!("{}: {reason}", program.display()) })
    }
}

fn run(name: &'static str, launch: &Launch, arguments: &[&str]) -> Result<Output, Missing> {
    let output = launch.command(&launch.program).args(arguments).output().map_err(|error| {
        let program = launch.program.display();
        Missing { name, why: format!("{program} cannot be run: {error}") }
    })?;
    let text = [output.stdout, output.stderr].concat();
    Ok(Output { success: output.status.success(), text: String::from_utf8_lossy(&text).trim().to_owned() })
}
