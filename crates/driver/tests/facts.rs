//! What is read for an input is true when the input is handled.

use domain::{
    Epoch, Fact, Found, Loaded, Need, Now, OnLost, RetryPolicy, Run, ShellRun, Spec, State, StateWord, Task, TaskId,
    Write,
};
use driver::{Driver, Step};
use engine::{Caller, Config, Effect, Input, NewTask, Reply};
use std::{collections::BTreeMap, time::Duration};

fn id(n: u16) -> TaskId {
    TaskId::from_parts(1_000, 0, n, 7)
}

fn spec() -> Spec {
    Spec {
        name: "test".into(),
        description: String::new(),
        run: Run::Shell(ShellRun { command: "true".into(), ..ShellRun::default() }),
        timeout: None,
        retry: RetryPolicy { max_retries: 0 },
        on_lost: OnLost::Retry,
        key: None,
        worker: None,
        labels: BTreeMap::new(),
        priority: 0,
        queue: "default".into(),
        run_at: None,
        start_within: None,
        array: None,
        trace: None,
        trace_state: String::new(),
    }
}

fn config() -> Config {
    let second = Duration::from_secs(1);
    Config { lost_after: second * 60, silence: second * 15, store_id: "here".into(), epoch: Epoch(1), window: 10 }
}

/// The records that it wants to be durable next; what it would read ahead can wait.
fn records(driver: &mut Driver) -> Vec<Task> {
    let batch = loop {
        match driver.poll(Now::default()) {
            Some(Step::Ahead(_)) => {}
            Some(Step::Commit(batch)) => break batch,
            other => panic!("{other:?}"),
        }
    };
    let record = |write| match write {
        Write::Insert { task, class: _ } | Write::Update(task) => Some((*task).clone()),
        _ => None,
    };
    batch.writes.into_iter().filter_map(record).collect()
}

fn fact(task: &Task) -> Fact {
    Fact { need: Need::Task(task.id), found: Some(Found { task: task.clone(), row: true, array: None }) }
}

fn ended(effects: &[Effect]) -> Vec<Vec<Result<StateWord, String>>> {
    let answers = effects.iter().filter_map(|effect| match effect {
        Effect::Reply(_, Reply::Cancelled(answers)) => Some(answers),
        _ => None,
    });
    answers.map(|list| list.iter().map(|a| a.clone().map_err(|e| e.text().to_owned())).collect()).collect()
}

#[test]
fn what_was_read_is_read_again_if_anything_else_must_be_read_after_it() {
    let now = Now::default();
    let mut driver = Driver::new(now, config(), Loaded::default());
    let new = |n| NewTask { id: id(n), spec: spec().into(), entries: Vec::new(), retry: None };
    let submit = |tasks| Input::Submit { caller: Caller(1), tasks, repeated: false, brief: false };
    driver.push(submit(vec![new(1)]));
    let one = records(&mut driver);
    driver.committed();
    driver.push(submit(vec![new(2)]));
    let two = records(&mut driver);
    // The first is in the store alone; the second leaves memory while the first is being read.
    driver.push(Input::Cancel { caller: Caller(2), tasks: vec![id(1), id(2)] });
    let Some(Step::Ask(needs)) = driver.poll(now) else { panic!("the first is in memory") };
    assert_eq!(needs, [Need::Task(id(1))]);
    driver.committed();
    let Some(Step::Ask(needs)) = driver.facts(now, vec![fact(&one[0])]) else { panic!("the second is in memory") };
    assert_eq!(needs, [Need::Task(id(1)), Need::Task(id(2))], "by now the first may be another");
    let over = Task { state: State::Final(domain::Final::Completed), ..one[0].clone() };
    assert_eq!(driver.facts(now, vec![fact(&over), fact(&two[0])]), None);
    assert_eq!(records(&mut driver).iter().map(|task| task.id).collect::<Vec<_>>(), [id(2)]);
    let told = ended(&driver.committed());
    assert_eq!(told, [[Err(format!("task {} is already completed", id(1))), Ok(StateWord::Cancelled)]]);
}
