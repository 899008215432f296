//! What a template computes with.

use std::collections::BTreeMap;

use crate::model::Labels;

use super::time;

/// A value, with Go's type where it shows.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Nothing: Go prints `<no value>`.
    Nil,
    /// `bool`
    Bool(bool),
    /// `int`
    Int(i64),
    /// `float64`
    Float(f64),
    /// `string`
    String(String),
    /// `map[string]string` whose missing keys are empty.
    Labels(Labels),
    /// `map[string]any`: the arguments of `args`.
    Map(BTreeMap<String, Value>),
    /// A struct: the root, whose fields are known.
    Struct(BTreeMap<&'static str, Value>),
    /// A list: a query's samples, or a slice.
    List(Vec<Value>),
    /// One element of a query's answer: `.Labels`, `.Value`.
    Sample(TemplateSample),
    /// `time.Time`, in seconds since the epoch.
    Time(f64),
    /// `time.Duration`, in seconds.
    Duration(f64),
}

/// One element of a query's answer.
#[derive(Clone, Debug, PartialEq)]
pub struct TemplateSample {
    /// Its labels, the metric's name among them.
    pub labels: Labels,
    /// Its value.
    pub value: f64,
}

impl Value {
    /// Go's name of the type, for messages.
    pub(super) fn type_name(&self) -> &'static str {
        match self {
            Value::Nil => "nil",
            Value::Bool(_) => "bool",
            Value::Int(_) => "int",
            Value::Float(_) => "float64",
            Value::String(_) => "string",
            Value::Labels(_) => "map[string]string",
            Value::Map(_) => "map[string]interface {}",
            Value::Struct(_) => "struct",
            Value::List(_) => "[]interface {}",
            Value::Sample(_) => "*template.sample",
            Value::Time(_) => "time.Time",
            Value::Duration(_) => "time.Duration",
        }
    }

    /// Whether `if` takes the value as true: what is not zero or empty.
    pub(super) fn is_true(&self) -> bool {
        match self {
            Value::Nil => false,
            Value::Bool(flag) => *flag,
            Value::Int(number) => *number != 0,
            Value::Float(number) | Value::Duration(number) => *number != 0.0,
            Value::String(text) => !text.is_empty(),
            Value::Labels(labels) => !labels.is_empty(),
            Value::Map(map) => !map.is_empty(),
            Value::List(list) => !list.is_empty(),
            Value::Sample(_) | Value::Struct(_) | Value::Time(_) => true,
        }
    }

    /// `value.name`
    ///
    /// # Errors
    /// Where the type has no such field.
    pub(super) fn field(&self, name: &str) -> Result<Value, String> {
        match self {
            Value::Labels(labels) => Ok(Value::String(labels.get(name).unwrap_or("").to_owned())),
            Value::Map(map) => Ok(map.get(name).cloned().unwrap_or(Value::Nil)),
            Value::Struct(fields) if fields.contains_key(name) => Ok(fields[name].clone()),
            Value::Sample(sample) if name == "Labels" => Ok(Value::Labels(sample.labels.clone())),
            Value::Sample(sample) if name == "Value" => Ok(Value::Float(sample.value)),
            Value::Time(_) | Value::Duration(_) => time::method(self, name, &[])
                .unwrap_or_else(|| Err(format!("can't evaluate field {name} in type {}", self.type_name()))),
            Value::Nil => Err(format!("nil pointer evaluating interface {{}}.{name}")),
            other => Err(format!("can't evaluate field {name} in type {}", other.type_name())),
        }
    }
}
