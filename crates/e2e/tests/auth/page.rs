//! Every RPC declares what it needs, and docs/scopes.md is what the code says.

use domain::{Scope, Scopes};
use prost::Message as _;
use prost_types::FileDescriptorSet;
use service::auth::{EVERYWHERE, Need, Row};
use std::{collections::BTreeSet, fmt::Write as _, fs, path::PathBuf};

/// A port, by the name that the page has for it, and what it answers.
pub struct Port {
    pub name: &'static str,
    pub rows: Vec<&'static Row>,
}

/// All ports that ask callers who they are.
pub fn ports() -> Vec<Port> {
    let everywhere = |rpcs: bool| EVERYWHERE.iter().filter(move |row| rpcs || !row.method.is_empty());
    vec![
        Port { name: "Gateway, gRPC", rows: gateway::RPC_SCOPES.iter().chain(everywhere(true)).collect() },
        Port { name: "Gateway, HTTP", rows: gateway::HTTP_SCOPES.iter().chain(everywhere(false)).collect() },
        Port { name: "Scheduler", rows: scheduler::SCOPES.iter().chain(everywhere(true)).collect() },
    ]
}

/// Who may make a call: a caller without any valid token, or one with this scope alone.
pub fn may(need: Need, scope: Option<Scope>) -> bool {
    let scopes = scope.into_iter().collect::<Scopes>();
    need == Need::Open || (scope.is_some() && need.scopes().all(|needed| scopes.allow(needed)))
}

fn page() -> String {
    let mut page = String::from(
        "# Scopes\n\nWhat each call needs of its caller when a service is started with `--auth tokens` ([security](security.md)). \
         This page is made\nfrom the tables that the services go by, and a test makes each of these calls with each sort of token. \
         What isn't\nlisted is refused. `–` in the column *none* stands for a missing, wrong, expired or revoked token.\n",
    );
    for Port { name, rows } in ports() {
        let head: Vec<&str> = Scope::ALL.iter().map(|scope| scope.as_str()).collect();
        writeln!(page, "\n## {name}\n\n| call | none | {} |\n|---|---|{}", head.join(" | "), "---|".repeat(head.len()))
            .unwrap();
        for row in rows {
            let cell = |scope| if may(row.need, scope) { "yes" } else { "–" };
            let cells: Vec<&str> = Scope::ALL.iter().map(|scope| cell(Some(*scope))).collect();
            let call = format!("{} {}", row.method, row.path);
            writeln!(page, "| `{}` | {} | {} |", call.trim(), cell(None), cells.join(" | ")).unwrap();
        }
    }
    page
}

#[test]
fn every_rpc_has_a_row_and_every_row_an_rpc() {
    let mut there = BTreeSet::new();
    for file in FileDescriptorSet::decode(wire::DESCRIPTOR).unwrap().file {
        for service in &file.service {
            let name = format!("{}.{}", file.package(), service.name());
            // A worker asks nobody who he is: it knows no tokens (docs/security.md).
            let guarded = name != "orchestrator.v1.Worker";
            let methods = service.method.iter().map(|method| format!("/{name}/{}", method.name()));
            there.extend(methods.filter(|_| guarded));
        }
    }
    let rows: Vec<String> =
        gateway::RPC_SCOPES.iter().chain(scheduler::SCOPES).map(|row| row.path.to_owned()).collect();
    let known: BTreeSet<String> = rows.iter().cloned().collect();
    assert_eq!((known.len(), &known), (rows.len(), &there));
}

#[test]
fn the_page_is_what_the_code_says() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/scopes.md");
    let page = page();
    if std::env::var_os("UPDATE_BASELINE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let same = fs::read_to_string(&path).unwrap_or_default() == page;
    assert!(same, "docs/scopes.md is not what the code says; UPDATE_BASELINE=1 writes it");
}
