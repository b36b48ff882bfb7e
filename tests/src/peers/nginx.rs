//! nginx, which ends TLS in front of a WebSocket server.

use std::fmt::Write;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use super::process::Process;
use super::{Available, Missing, Peer, ServerTls, detect, loopback, on_a_free_port};

/// Starts nginx with TLS; it hands all connections on to this WebSocket server, which speaks none. A client without a
/// certificate, where one is required, is answered by HTTP 400.
///
/// Its log has a line such as `served 101 /echo` for each request that is over.
///
/// # Errors
/// If it is not here.
///
/// # Panics
/// If it is here and does not start; with all that it wrote.
pub fn nginx_in_front_of(upstream: &Peer, tls: &ServerTls) -> Result<Peer, Missing> {
    let found = detect::nginx()?;
    assert_eq!(upstream.scheme, "ws", "nginx speaks plain HTTP to what is behind it");
    Ok(on_a_free_port(|port| start(&found, port, upstream.address(), tls)))
}

pub(super) fn start(
    found: &Available,
    port: u16,
    upstream: SocketAddr,
    tls: &ServerTls,
) -> Result<Peer, String> {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("nginx.conf");
    std::fs::write(&file, configuration(directory.path(), port, upstream, tls)).unwrap();
    // `-e`: before it reads the configuration it would use a file that is root's.
    let arguments = ["-e".into(), "stderr".into(), "-c".into(), file.into()];
    let process = Process::start(found.name, &found.launch, &arguments);
    // It says so after it listens.
    process.wait_for("its event loop", |line| line.contains("event method"))?;
    Ok(Peer { name: found.name, scheme: "wss", address: loopback(port), process, _directory: directory })
}

/// One process, in the foreground, that writes nowhere but to its directory and its standard streams.
fn configuration(directory: &Path, port: u16, upstream: SocketAddr, tls: &ServerTls) -> String {
    let files = tls.write_to(directory);
    let directory = directory.display();
    let mut temporary = String::new();
    for module in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"] {
        writeln!(temporary, "    {module}_temp_path \"{directory}/{module}\";").unwrap();
    }
    let clients = files.clients.as_ref().map_or_else(String::new, |clients| {
        format!("ssl_client_certificate \"{}\"; ssl_verify_client on;", clients.display())
    });
    let (certificate, key) = (files.certificate.display(), files.key.display());
    format!(
        r#"
daemon off;
master_process off;
pid "{directory}/nginx.pid";
lock_file "{directory}/nginx.lock";
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    log_format brief "served $status $uri";
    access_log /dev/stdout brief;
{temporary}
    server {{
        listen 127.0.0.1:{port} ssl;
        ssl_certificate "{certificate}";
        ssl_certificate_key "{key}";
        {clients}
        location / {{
            proxy_pass http://{upstream};
            proxy_http_version 1.1;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection "upgrade";
            proxy_set_header Host $http_host;
            proxy_read_timeout 1h;
            proxy_send_timeout 1h;
        }}
    }}
}}
"#
    )
}
