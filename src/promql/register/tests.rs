use crate::promql::value::Stats;

use super::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn question(text: &str) -> Question {
    let grid = StepGrid::new(at(0), at(3_600_000), Span::MINUTE).expect("a grid");
    Question { text: text.into(), grid, asker: Asker::Program, lanes: LaneView::Merged }
}

fn answer(peak_bytes: u64) -> Result<Answer, QueryError> {
    Ok(Answer { stats: Stats { peak_bytes, ..Stats::default() }, ..Answer::default() })
}

/// Asks `text` at `now`; it takes `millis` and holds `bytes`.
fn ask(register: &Arc<Register>, text: &str, now: i64, millis: i64, bytes: u64) {
    let running = register.enter(question(text), &Interrupt::default(), at(now));
    running.ended(at(now + millis), &answer(bytes));
}

#[test]
fn a_query_is_active_until_it_ends_and_can_be_stopped() {
    let register = Arc::new(Register::default());
    let interrupt = Interrupt::default();
    let mut first = register.enter(question("a"), &interrupt, at(1));
    let second = register.enter(question("b"), &Interrupt::default(), at(2));
    first.starts(at(3));
    let seen: Vec<_> =
        register.active().into_iter().map(|one| (one.question.text.to_string(), one.started_at)).collect();
    assert_eq!(seen, [("a".to_owned(), Some(at(3))), ("b".to_owned(), None)]);

    let id = register.active()[0].id;
    assert!(register.cancel(id));
    assert!(matches!(interrupt.check(), Err(QueryError::Canceled(_))));
    first.ended(at(4), &answer(0));
    assert!(!register.cancel(id), "it has ended");
    drop(second);
    assert!(register.active().is_empty(), "who leaves the queue is gone");
    assert_eq!(register.top(9, Span::HOUR, at(5)).queries, 1, "and was no query");
}

#[test]
fn the_expensive_ones_come_first() {
    let register = Arc::new(Register::default());
    for now in 0..3 {
        ask(&register, "often", now, 1, 10);
    }
    ask(&register, "slow", 5, 9, 20);
    ask(&register, "fat", 6, 2, 900);
    ask(&register, "often", 7, 10, 10);
    let top = register.top(2, Span::HOUR, at(20));
    let texts = |list: &[TopEntry]| list.iter().map(|entry| entry.text.to_string()).collect::<Vec<_>>();
    assert_eq!(top.queries, 6);
    assert_eq!(texts(&top.by_count), ["often", "fat"]);
    assert_eq!(texts(&top.by_average_time), ["slow", "often"]);
    assert_eq!(texts(&top.by_total_time), ["often", "slow"]);
    assert_eq!(texts(&top.by_memory), ["fat", "slow"]);
    let often = &top.by_count[0];
    assert_eq!((often.count, often.took, often.length), (4, Span::from_millis(13), Span::HOUR));
    assert_eq!((often.average_seconds(), often.average_bytes()), (0.00325, 10));
    assert_eq!(often.last_asker.as_ref(), "weir");
    let rule = RuleAsker { rule: "Down".into(), group: "node".into(), ..RuleAsker::default() };
    let asked = Question { asker: Asker::Rule(Box::new(rule)), ..question("often") };
    register.enter(asked, &Interrupt::default(), at(8)).ended(at(9), &answer(0));
    assert_eq!(register.top(1, Span::HOUR, at(20)).by_count[0].last_asker.as_ref(), "rule Down of group node");
    // What ended too long ago does not count.
    assert_eq!(texts(&register.top(9, Span::from_millis(5), at(20)).by_count), ["often"]);
}

#[test]
fn only_so_many_queries_and_texts_are_remembered() {
    let register = Arc::new(Register::default());
    for number in 0..top::QUERIES_MAX + 10 {
        ask(&register, &format!("q{}", number % 7), 0, 1, 0);
    }
    assert_eq!(register.top(9, Span::HOUR, at(1)).queries, top::QUERIES_MAX);
    // Texts too long to keep all of them: the oldest make room, and each is cut.
    let long = "x".repeat(100_000);
    for number in 0..5_000 {
        ask(&register, &format!("{number}{long}"), 2, 1, 0);
    }
    let top = register.top(usize::MAX, Span::HOUR, at(3));
    assert!((2_000..2_100).contains(&top.queries), "{}", top.queries);
    assert!(top.by_count.iter().all(|entry| entry.text.len() == 4096));
}

#[test]
fn each_query_is_a_line_with_prometheus_fields_and_its_asker() {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let written = Arc::clone(&lines);
    let register = Arc::new(Register::new(Some(Box::new(move |line| written.lock().push(line.to_owned())))));
    let http = HttpAsker {
        address: Some([10, 0, 0, 7].into()),
        method: "GET".into(),
        path: "/api/v1/query_range".into(),
        user_agent: None,
        dashboard: Some("abc".into()),
        panel: Some("4".into()),
    };
    let asked = Question { asker: Asker::Http(Box::new(http)), ..question("up == 0") };
    let mut running = register.enter(asked, &Interrupt::default(), at(1_000));
    running.starts(at(1_250));
    running.ended(at(2_250), &Err(QueryError::Timeout("expression evaluation")));
    let line: serde_json::Value = serde_json::from_str(&lines.lock()[0]).expect("JSON");
    let expected = serde_json::json!({
        "time": "1970-01-01T00:00:02.250Z",
        "level": "INFO",
        "msg": "promql query logged",
        "params": {
            "query": "up == 0",
            "start": "1970-01-01T00:00:00.000Z",
            "end": "1970-01-01T01:00:00.000Z",
            "step": 60,
        },
        "error": "query timed out in expression evaluation",
        "stats": {
            "timings": {"evalTotalTime": 1.0, "execQueueTime": 0.25, "execTotalTime": 1.25},
            "samples": {"totalQueryableSamples": 0, "peakSamples": 0, "samplesRead": 0},
            "series": 0,
            "peakBytes": 0,
        },
        "httpRequest": {
            "clientIP": "10.0.0.7",
            "method": "GET",
            "path": "/api/v1/query_range",
            "dashboardUid": "abc",
            "panelId": "4",
        },
    });
    assert_eq!(line, expected);

    let rule = RuleAsker { file: "r.yml".into(), group: "node".into(), rule: "up:sum".into() };
    let asked = Question { asker: Asker::Rule(Box::new(rule)), ..question("up") };
    register.enter(asked, &Interrupt::default(), at(0)).ended(at(1), &answer(0));
    let line: serde_json::Value = serde_json::from_str(&lines.lock()[1]).expect("JSON");
    assert_eq!(line["ruleGroup"], serde_json::json!({"file": "r.yml", "name": "node", "rule": "up:sum"}));
    assert_eq!(line.get("error"), None);
}
