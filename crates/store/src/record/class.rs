//! Class keys. Equal keys have equal bytes, by which the store finds them again: the form must never change.

use super::Unreadable;
use domain::{ClassKey, Requirement, WorkerId};
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
}

/// The key's bytes.
pub(crate) fn encode_class(key: &ClassKey) -> Vec<u8> {
    let ClassKey { queue, priority, requirement: Requirement { worker, labels, handler } } = key;
    ClassRecord {
        queue: queue.clone(),
        priority: *priority,
        worker: worker.as_ref().map(|w| w.as_str().to_owned()),
        labels: labels.clone(),
        handler: handler.clone(),
    }
    .encode_to_vec()
}

/// Back from [`encode_class`].
pub(crate) fn decode_class(bytes: &[u8]) -> Result<ClassKey, Unreadable> {
    let ClassRecord { queue, priority, worker, labels, handler } = ClassRecord::decode(bytes)?;
    let requirement = Requirement { worker: worker.as_deref().map(WorkerId::new), labels, handler };
    Ok(ClassKey { queue, priority, requirement })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_comes_back_and_differs_from_its_neighbours() {
        let labels = BTreeMap::from([("b".to_owned(), "2".to_owned()), ("a".to_owned(), String::new())]);
        let requirement = Requirement { worker: None, labels, handler: None };
        let key = ClassKey { queue: "q".into(), priority: -1, requirement };
        let mut others = vec![key.clone(); 3];
        others[0].requirement.worker = Some(WorkerId::new(""));
        others[1].requirement.handler = Some(String::new());
        others[2].priority = 1;
        for other in others {
            assert_ne!(encode_class(&other), encode_class(&key));
            assert_eq!(decode_class(&encode_class(&other)).unwrap(), other);
        }
    }
}
