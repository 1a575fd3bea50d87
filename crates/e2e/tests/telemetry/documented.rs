//! docs/telemetry.md against what the services serve: names, types, labels and their values, in both directions.

use crate::busy;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::Path,
};

/// A row of the table.
#[derive(PartialEq, Debug)]
struct Row {
    kind: String,
    /// Names of labels; with the values they may have, unless any.
    labels: BTreeMap<String, BTreeSet<String>>,
    served_by: Vec<String>,
}

fn documented(text: &str) -> BTreeMap<String, Row> {
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = text.lines().filter(|line| line.starts_with("| `baton_")).map(cells);
    rows.map(|row| {
        let [_, name, kind, _, labels, served_by, meaning, _] = row.as_slice() else { panic!("{row:?}") };
        assert!(!meaning.is_empty(), "{row:?}");
        let mut found = BTreeMap::new();
        if labels != "–" {
            let (label, values) = labels.split_once(": ").unwrap_or((labels, ""));
            let values = values.split(", ").filter(|value| !value.is_empty()).map(str::to_owned).collect();
            found.insert(label.trim_matches('`').to_owned(), values);
        }
        let served_by = if served_by == "all" { "gateway, scheduler, worker" } else { served_by };
        let served_by = served_by.split(", ").map(str::to_owned).collect();
        (name.trim_matches('`').to_owned(), Row { kind: kind.clone(), labels: found, served_by })
    })
    .collect()
}

/// A sample's name and its labels.
type Sample = (String, BTreeMap<String, String>);

/// Names with their types, and the samples.
fn served(address: SocketAddr) -> (BTreeMap<String, String>, Vec<Sample>) {
    let (status, text) = e2e::http_get(address, "/metrics");
    assert_eq!(status, 200);
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '));
    let types: BTreeMap<_, _> = types.map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect();
    let helped: BTreeSet<_> =
        text.lines().filter_map(|l| Some(l.strip_prefix("# HELP ")?.split_once(' ')?.0)).collect();
    let unhelped: Vec<_> = types.keys().filter(|name| !helped.contains(name.as_str())).collect();
    assert!(unhelped.is_empty(), "without a help text: {unhelped:?}");
    let samples = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()).map(|line| {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        // No value of ours has a comma or a quote in it.
        let labels = labels.trim_end_matches('}').split(',').filter_map(|pair| pair.split_once('='));
        let labels = labels.map(|(key, value)| (key.to_owned(), value.trim_matches('"').to_owned()));
        (name.to_owned(), labels.filter(|(key, _)| key != "le").collect())
    });
    (types, samples.collect())
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_one_is_served() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/telemetry.md");
    let table = documented(&fs::read_to_string(file).unwrap());
    let (cluster, worker) = busy().await;
    let services = [("gateway", cluster.gateway_address), ("scheduler", cluster.scheduler_address), ("worker", worker)];
    for (service, address) in services {
        let (types, samples) = served(address);
        let expected: BTreeMap<_, _> = table
            .iter()
            .filter(|(_, row)| row.served_by.iter().any(|by| by == service))
            .map(|(name, row)| (name.clone(), row.kind.clone()))
            .collect();
        assert_eq!(types, expected, "{service}");
        for (sample, labels) in samples {
            let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| sample.strip_suffix(end));
            let name = base.filter(|base| types.contains_key(*base)).unwrap_or(&sample);
            let row = &table[name];
            assert_eq!(labels.keys().collect::<Vec<_>>(), row.labels.keys().collect::<Vec<_>>(), "{sample}");
            for (label, value) in labels {
                let allowed = &row.labels[&label];
                assert!(allowed.is_empty() || allowed.contains(&value), "{sample}: {label} is {value}");
            }
        }
    }
}

#[test]
fn the_table_is_read_as_it_is_written() {
    let text = "| `baton_a_total` | counter | tasks | `state`: b, c | all | d |\n| other |";
    let row = Row {
        kind: "counter".into(),
        labels: [("state".into(), ["b".into(), "c".into()].into())].into(),
        served_by: ["gateway", "scheduler", "worker"].map(str::to_owned).into(),
    };
    assert_eq!(documented(text), [("baton_a_total".to_owned(), row)].into());
}
