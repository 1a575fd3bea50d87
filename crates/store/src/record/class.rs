//! Class keys. Equal keys have equal bytes, by which the store finds them again: the form must never change.

use super::Unreadable;
use domain::{ClassKey, Executor, Requirement, WorkerId};
use prost::Message;
use std::collections::BTreeMap;

#[derive(Clone, PartialEq, prost::Message)]
struct ClassRecord {
    #[prost(string, tag = "1")]
    queue: String,
    #[prost(sint32, tag = "2")]
    priority: i32,
    #[prost(string, optional, tag = "3")]
    worker: Option<String>,
    #[prost(btree_map = "string, string", tag = "4")]
    labels: BTreeMap<String, String>,
    #[prost(string, optional, tag = "5")]
    handler: Option<String>,
    #[prost(bool, tag = "6")]
    docker: bool,
}

/// The key's bytes.
pub(crate) fn encode_class(key: &ClassKey) -> Vec<u8> {
    let ClassKey { queue, priority, requirement: Requirement { worker, labels, executor } } = key;
    ClassRecord {
        queue: queue.clone(),
        priority: *priority,
        worker: worker.as_ref().map(|w| w.as_str().to_owned()),
        labels: labels.clone(),
        handler: match executor {
            Executor::Handler(name) => Some(name.clone()),
            Executor::Shell | Executor::Docker => None,
        },
        docker: *executor == Executor::Docker,
    }
    .encode_to_vec()
}

/// Back from [`encode_class`].
pub(crate) fn decode_class(bytes: &[u8]) -> Result<ClassKey, Unreadable> {
    let ClassRecord { queue, priority, worker, labels, handler, docker } = ClassRecord::decode(bytes)?;
    let executor = match handler {
        Some(name) => Executor::Handler(name),
        None if docker => Executor::Docker,
        None => Executor::Shell,
    };
    let requirement = Requirement { worker: worker.as_deref().map(WorkerId::new), labels, executor };
    Ok(ClassKey { queue, priority, requirement })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_comes_back_and_differs_from_its_neighbours() {
        let labels = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), String::new())]);
        let requirement = Requirement { worker: None, labels, executor: Executor::Shell };
        let key = ClassKey { queue: "q".into(), priority: -1, requirement };
        let mut others = vec![key.clone(); 4];
        others[0].requirement.worker = Some(WorkerId::new(""));
        others[1].requirement.executor = Executor::Handler(String::new());
        others[2].priority = 1;
        others[3].requirement.executor = Executor::Docker;
        for other in others {
            assert_ne!(encode_class(&other), encode_class(&key));
            assert_eq!(decode_class(&encode_class(&other)).unwrap(), other);
        }
    }
}
