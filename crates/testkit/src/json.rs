//! Cases in JSON: `{"tests": [{"name": …, "statements": […], "inputs": […], "outputs": […]}]}`.

use base64::Engine;
use serde_json::{Map, Value};

use crate::case::{
    Answer, AnswerRow, Body, Case, ExpectedError, FormatSpec, HeaderSpec, RecordSpec, RecordsCase, SideSpec,
    SourceSpec, TopicAfter, TopicSpec, WindowSpec,
};

/// The object of a JSON value; what is not an object has no fields.
trait Fields {
    fn list(&self, name: &str) -> &[Value];
    fn text(&self, name: &str) -> Option<String>;
    fn number(&self, name: &str) -> Option<i64>;
    fn object(&self, name: &str) -> Option<&Map<String, Value>>;
}

impl Fields for Value {
    fn list(&self, name: &str) -> &[Value] {
        self.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).and_then(Value::as_str).map(str::to_owned)
    }

    fn number(&self, name: &str) -> Option<i64> {
        self.get(name).and_then(Value::as_i64)
    }

    fn object(&self, name: &str) -> Option<&Map<String, Value>> {
        self.get(name).and_then(Value::as_object)
    }
}

/// The cases of a file.
///
/// # Errors
/// What in the text is not as the format wants it.
pub fn load(file: &str, text: &str) -> Result<Vec<Case>, String> {
    let root: Value = serde_json::from_str(text).map_err(|e| format!("{file}: {e}"))?;
    let tests = root.get("tests").and_then(Value::as_array).ok_or_else(|| format!("{file}: no list \"tests\""))?;
    let mut cases = Vec::with_capacity(tests.len());
    for (at, test) in tests.iter().enumerate() {
        let name = test.text("name").ok_or_else(|| format!("{file}: test {at} has no name"))?;
        let body = records_case(test).map_err(|e| format!("{file}: {name}: {e}"))?;
        cases.push(Case { file: file.to_owned(), name, body: Body::Records(Box::new(body)) });
    }
    Ok(cases)
}

fn records_case(test: &Value) -> Result<RecordsCase, String> {
    let statements = test.list("statements").iter();
    let statements = statements.map(|s| s.as_str().map(str::to_owned).ok_or("a statement is no text"));
    let error = test.object("expectedException").or_else(|| test.object("expectedError"));
    let post = test.get("post").unwrap_or(&Value::Null);
    let topics_after = post.get("topics").unwrap_or(&Value::Null);
    Ok(RecordsCase {
        statements: statements.collect::<Result<_, _>>()?,
        properties: properties(test),
        topics: test.list("topics").iter().map(topic).collect::<Result<_, _>>()?,
        inputs: test.list("inputs").iter().map(record).collect::<Result<_, _>>()?,
        outputs: test.list("outputs").iter().map(record).collect::<Result<_, _>>()?,
        expected_error: error.map(expected_error),
        sources: post.list("sources").iter().map(source).collect::<Result<_, _>>()?,
        topics_after: topics_after.list("topics").iter().map(topic_after).collect::<Result<_, _>>()?,
        forbidden_topics: topics_after.text("blacklist"),
        answers: test.list("responses").iter().filter(|r| r.get("query").is_some()).map(answer).collect(),
        queries_first: test.get("inputConditions").and_then(|c| c.get("waitForActivePushQuery"))
            == Some(&Value::Bool(true)),
    })
}

/// Values are text to the engine, however the file writes them.
fn properties(test: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    test.object("properties").into_iter().flatten().map(|(name, value)| (name.clone(), text(value))).collect()
}

fn topic(value: &Value) -> Result<TopicSpec, String> {
    let narrow = |name: &str| value.number(name).map(|n| u32::try_from(n).map_err(|_| format!("{name} is {n}")));
    let both = value.text("format");
    let side = |side: &str, schema: Option<&Value>| {
        let id =
            value.number(&format!("{side}SchemaId")).map(|id| i32::try_from(id).map_err(|_| format!("schema id {id}")));
        let reference = |r: &Value| r.text("name").zip(r.get("schema").cloned());
        Ok::<_, String>(SideSpec {
            format: value.text(&format!("{side}Format")).or_else(|| both.clone()).map(|f| f.to_uppercase()),
            schema: value.get(format!("{side}Schema")).or(schema).cloned(),
            schema_id: id.transpose()?,
            references: value.list(&format!("{side}SchemaReferences")).iter().filter_map(reference).collect(),
        })
    };
    let replicas = value.number("replicas").map(|n| u16::try_from(n).map_err(|_| format!("replicas is {n}")));
    Ok(TopicSpec {
        name: value.text("name").ok_or("a topic without a name")?,
        partitions: narrow("partitions").transpose()?,
        replicas: replicas.transpose()?,
        key: side("key", None)?,
        value: side("value", value.get("schema"))?,
    })
}

fn record(value: &Value) -> Result<RecordSpec, String> {
    Ok(RecordSpec {
        topic: value.text("topic").ok_or("a record without a topic")?,
        key: value.get("key").cloned().unwrap_or(Value::Null),
        value: value.get("value").cloned().unwrap_or(Value::Null),
        timestamp: value.number("timestamp"),
        window: value.get("window").filter(|w| w.is_object()).map(window).transpose()?,
        headers: match value.get("headers") {
            Some(Value::Array(headers)) => Some(headers.iter().map(header).collect::<Result<_, _>>()?),
            _ => None,
        },
    })
}

fn window(value: &Value) -> Result<WindowSpec, String> {
    let session = value.text("type").is_some_and(|t| t.eq_ignore_ascii_case("session"));
    Ok(WindowSpec {
        start: value.number("start").ok_or("a window without a start")?,
        end: value.number("end"),
        session,
    })
}

fn header(value: &Value) -> Result<HeaderSpec, String> {
    let bytes = |text: String| {
        base64::engine::general_purpose::STANDARD.decode(&text).map_err(|e| format!("header value {text}: {e}"))
    };
    Ok(HeaderSpec {
        name: value.text("KEY").ok_or("a header without KEY")?,
        value: value.text("VALUE").map(bytes).transpose()?,
    })
}

fn expected_error(value: &Map<String, Value>) -> ExpectedError {
    let text = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    ExpectedError {
        // An error of processing says what is wrong in its cause.
        message: text("causeMessage").or_else(|| text("message")),
        kind: text("type").unwrap_or_default(),
    }
}

fn source(value: &Value) -> Result<SourceSpec, String> {
    Ok(SourceSpec {
        name: value.text("name").ok_or("a source without a name")?,
        is_table: value.text("type").map(|t| t.eq_ignore_ascii_case("table")),
        schema: value.text("schema"),
        key: format_spec(value, "key"),
        value: format_spec(value, "value"),
        read_only: value.get("isSource").and_then(Value::as_bool),
    })
}

fn topic_after(value: &Value) -> Result<TopicAfter, String> {
    Ok(TopicAfter {
        name: value.text("name").ok_or("a topic without a name")?,
        partitions: value.number("partitions").and_then(|n| u32::try_from(n).ok()),
        replicas: value.number("replicas").and_then(|n| u16::try_from(n).ok()),
        key: format_spec(value, "key"),
        value: format_spec(value, "value"),
    })
}

/// `keyFormat` is a name or an object with `format`, `windowType`, `windowSize`, `features`; features may stand outside.
fn format_spec(value: &Value, side: &str) -> FormatSpec {
    let format = value.get(format!("{side}Format")).unwrap_or(&Value::Null);
    let features = format.get("features").or_else(|| value.get(format!("{side}Features"))).and_then(Value::as_array);
    let words = |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    FormatSpec {
        format: format.as_str().map(str::to_owned).or_else(|| format.text("format")).map(|f| f.to_uppercase()),
        window_type: format.text("windowType").map(|t| t.to_uppercase()),
        window_size_ms: format.number("windowSize"),
        features: features.map(words),
        schema: value.get(format!("{side}Schema")).cloned(),
    }
}

fn answer(response: &Value) -> Answer {
    let mut answer = Answer::default();
    for entry in response.list("query") {
        if let Some(header) = entry.get("header") {
            answer.schema = header.text("schema");
        }
        if let Some(row) = entry.get("row") {
            let tombstone = row.get("tombstone") == Some(&Value::Bool(true));
            answer.rows.push(AnswerRow { cells: row.list("columns").to_vec(), tombstone });
        }
        answer.ends |= entry.get("finalMessage").is_some();
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_cases() {
        let text = r#"{"tests": [{"name": "n", "statements": ["a;"], "properties": {"p": true},
            "topics": [{"name": "t", "partitions": 2, "format": "json"}],
            "inputs": [{"topic": "t", "key": 1, "value": "x", "window": {"start": 1, "end": 2, "type": "session"},
                        "headers": [{"KEY": "h", "VALUE": "IQ=="}]}],
            "responses": [{"admin": {}}, {"query": [{"header": {"schema": "A INT"}}, {"row": {"columns": [1.10]}},
                           {"finalMessage": "Limit Reached"}]}]}]}"#;
        let cases = load("f.json", text).expect("a sound file");
        let Some(Body::Records(case)) = cases.first().map(|c| &c.body) else { panic!("{cases:?}") };
        assert_eq!(case.properties, [("p".to_owned(), "true".to_owned())]);
        assert_eq!(case.topics[0].value.format.as_deref(), Some("JSON"));
        assert_eq!(case.inputs[0].window, Some(WindowSpec { start: 1, end: Some(2), session: true }));
        assert_eq!(case.inputs[0].headers.as_ref().map(|h| h[0].value.clone()), Some(Some(b"!".to_vec())));
        assert!(case.answers[0].ends);
        assert_eq!(case.answers[0].rows[0].cells[0].to_string(), "1.10");
    }

    #[test]
    fn what_is_missing_is_named() {
        let check = |text: &str, part: &str| {
            let error = load("f.json", text).expect_err("not sound");
            assert!(error.contains(part), "{error}");
        };
        check("[", "f.json");
        check("{}", "tests");
        check(r#"{"tests": [{}]}"#, "name");
        check(r#"{"tests": [{"name": "n", "inputs": [{}]}]}"#, "topic");
    }
}
