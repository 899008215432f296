//! Nodes into text.

use std::collections::BTreeMap;

use super::functions::{self, Context};
use super::parse::{Command, Node, Operand, Pipeline, Place, Tree};
use super::value::Value;
use super::{DEPTH_MAX, Data, OUTPUT_BYTES_MAX, Query, STEPS_MAX, TemplateError, VARIABLES, format, time};

/// Expands the tree's root.
pub(super) fn expand(tree: &Tree, data: &Data, query: &dyn Query) -> Result<String, TemplateError> {
    let root = root(data);
    let mut run = Run { tree, data, query, out: String::new(), steps: 0, depth: 0 };
    let mut scope = Scope { root: root.clone(), variables: Vec::new() };
    for (variable, field) in VARIABLES {
        scope.variables.push((variable.to_owned(), root.field(field).expect("every variable has its field")));
    }
    run.list(&tree.root, &root, &mut scope)?;
    Ok(run.out)
}

/// What `.` is at the top.
fn root(data: &Data) -> Value {
    Value::Struct(BTreeMap::from([
        ("Labels", Value::Labels(data.labels.clone())),
        ("ExternalLabels", Value::Labels(data.external_labels.clone())),
        ("ExternalURL", Value::String(data.external_url.clone())),
        ("Value", Value::Float(data.value)),
        ("Expr", Value::String(data.expr.clone())),
        ("ActiveAt", Value::Time(data.active_at.as_seconds())),
        ("For", Value::Duration(data.for_seconds)),
        ("AlertID", Value::String(data.alert_id.clone())),
        ("GroupID", Value::String(data.group_id.clone())),
        ("Type", Value::String("prometheus".to_owned())),
        ("Interval", Value::Duration(data.interval_seconds)),
        // No answer here is a part of one.
        ("IsPartial", Value::Bool(false)),
    ]))
}

struct Scope {
    /// What `$` is.
    root: Value,
    /// Innermost last.
    variables: Vec<(String, Value)>,
}

struct Run<'a> {
    tree: &'a Tree,
    data: &'a Data,
    query: &'a dyn Query,
    out: String,
    steps: usize,
    depth: usize,
}

/// How a list of nodes ended.
#[derive(PartialEq)]
enum Flow {
    Through,
    Break,
    Continue,
}

fn fail(place: Place, what: impl Into<String>) -> TemplateError {
    TemplateError { line: place.0, column: place.1, what: what.into() }
}

impl Run<'_> {
    fn step(&mut self, place: Place) -> Result<(), TemplateError> {
        self.steps += 1;
        match self.steps > STEPS_MAX || self.out.len() > OUTPUT_BYTES_MAX {
            true => Err(fail(place, format!("template takes over {STEPS_MAX} steps or {OUTPUT_BYTES_MAX} bytes"))),
            false => Ok(()),
        }
    }

    fn list(&mut self, nodes: &[Node], dot: &Value, scope: &mut Scope) -> Result<Flow, TemplateError> {
        let outer = scope.variables.len();
        for node in nodes {
            let flow = self.node(node, dot, scope)?;
            if flow != Flow::Through {
                scope.variables.truncate(outer);
                return Ok(flow);
            }
        }
        scope.variables.truncate(outer);
        Ok(Flow::Through)
    }

    fn node(&mut self, node: &Node, dot: &Value, scope: &mut Scope) -> Result<Flow, TemplateError> {
        match node {
            Node::Text(text) => self.out.push_str(text),
            Node::Print(pipeline) => {
                let value = self.pipeline(pipeline, dot, scope)?;
                if pipeline.variables.is_empty() {
                    format::write_value(&mut self.out, &value);
                }
            }
            Node::If(then, condition, otherwise) => {
                return self.branch(condition, dot, scope, |run, value, scope| {
                    run.list(if value.is_true() { then } else { otherwise }, dot, scope)
                });
            }
            Node::With(then, condition, otherwise) => {
                return self.branch(condition, dot, scope, |run, value, scope| match value.is_true() {
                    true => run.list(then, &value, scope),
                    false => run.list(otherwise, dot, scope),
                });
            }
            Node::Range(body, over, otherwise) => return self.range(body, over, otherwise, dot, scope),
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
            Node::Call(place, name, argument) => {
                let argument = match argument {
                    Some(pipeline) => self.pipeline(pipeline, dot, scope)?,
                    None => Value::Nil,
                };
                self.call(*place, name, &argument)?;
            }
        }
        Ok(Flow::Through)
    }

    /// Evaluates a condition whose variables live as long as the block.
    fn branch(
        &mut self,
        condition: &Pipeline,
        dot: &Value,
        scope: &mut Scope,
        then: impl FnOnce(&mut Self, Value, &mut Scope) -> Result<Flow, TemplateError>,
    ) -> Result<Flow, TemplateError> {
        let outer = scope.variables.len();
        let value = self.pipeline(condition, dot, scope)?;
        let flow = then(self, value, scope)?;
        scope.variables.truncate(outer);
        Ok(flow)
    }

    fn range(
        &mut self,
        body: &[Node],
        over: &Pipeline,
        otherwise: &[Node],
        dot: &Value,
        scope: &mut Scope,
    ) -> Result<Flow, TemplateError> {
        let bare = Pipeline { variables: Vec::new(), ..over.clone() };
        let items: Vec<(Value, Value)> = match self.pipeline(&bare, dot, scope)? {
            Value::List(list) => list.into_iter().enumerate().map(|(at, item)| (Value::Int(at as i64), item)).collect(),
            Value::Labels(labels) => labels.iter().map(|(name, value)| (text(name), text(value))).collect(),
            Value::Map(map) => map.into_iter().map(|(key, value)| (Value::String(key), value)).collect(),
            Value::Int(count) if count < STEPS_MAX as i64 => {
                (0..count).map(|at| (Value::Int(at), Value::Int(at))).collect()
            }
            Value::Nil => Vec::new(),
            other => return Err(fail(over.place, format!("range can't iterate over {}", format::shown(&other)))),
        };
        if items.is_empty() {
            return self.list(otherwise, dot, scope);
        }
        let outer = scope.variables.len();
        for (key, item) in items {
            self.step(over.place)?;
            match over.variables.as_slice() {
                [] => {}
                [only] => scope.variables.push((only.clone(), item.clone())),
                [first, second, ..] => {
                    scope.variables.push((first.clone(), key));
                    scope.variables.push((second.clone(), item.clone()));
                }
            }
            let flow = self.list(body, &item, scope)?;
            scope.variables.truncate(outer);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(Flow::Through)
    }

    /// Expands a defined template with `argument` as `.` and `$`.
    fn call(&mut self, place: Place, name: &str, argument: &Value) -> Result<(), TemplateError> {
        let tree = self.tree;
        let body = tree.defined.get(name).ok_or_else(|| fail(place, format!("template {name:?} not defined")))?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(fail(place, format!("templates call each other deeper than {DEPTH_MAX}")));
        }
        let mut scope = Scope { root: argument.clone(), variables: Vec::new() };
        self.list(body, argument, &mut scope)?;
        self.depth -= 1;
        Ok(())
    }

    fn pipeline(&mut self, pipeline: &Pipeline, dot: &Value, scope: &mut Scope) -> Result<Value, TemplateError> {
        self.step(pipeline.place)?;
        let mut piped: Option<Value> = None;
        for command in &pipeline.commands {
            piped = Some(self.command(pipeline.place, command, piped, dot, scope)?);
        }
        let value = piped.expect("a pipeline has a command");
        for name in &pipeline.variables {
            match pipeline.declares {
                true => scope.variables.push((name.clone(), value.clone())),
                false => {
                    let known = scope.variables.iter_mut().rev().find(|(known, _)| known == name);
                    let (_, slot) =
                        known.ok_or_else(|| fail(pipeline.place, format!("undefined variable \"${name}\"")))?;
                    *slot = value.clone();
                }
            }
        }
        Ok(value)
    }

    fn command(
        &mut self,
        place: Place,
        command: &Command,
        piped: Option<Value>,
        dot: &Value,
        scope: &mut Scope,
    ) -> Result<Value, TemplateError> {
        let (first, rest) = command.operands.split_first().expect("a command has an operand");
        if let Operand::Fields(base, names) = first
            && (!rest.is_empty() || piped.is_some())
        {
            return self.method(place, (base, names), rest, piped, dot, scope);
        }
        let Operand::Function(name) = first else {
            let value = self.operand(place, first, dot, scope)?;
            return match rest.is_empty() && piped.is_none() {
                true => Ok(value),
                false => Err(fail(place, "can't give argument to non-function")),
            };
        };
        if name == "and" || name == "or" {
            return self.short_circuit(place, name == "or", rest, piped, dot, scope);
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(place, operand, dot, scope)?);
        }
        arguments.extend(piped);
        if name == "tmpl" {
            return self.nested(place, arguments);
        }
        let context = Context { data: self.data, query: self.query };
        functions::call(name, arguments, &context).map_err(|what| fail(place, format!("error calling {name}: {what}")))
    }

    /// `value.Method argument ...`
    fn method(
        &mut self,
        place: Place,
        (base, names): (&Operand, &[String]),
        rest: &[Operand],
        piped: Option<Value>,
        dot: &Value,
        scope: &mut Scope,
    ) -> Result<Value, TemplateError> {
        let (name, fields) = names.split_last().expect("a field has a name");
        let mut value = self.operand(place, base, dot, scope)?;
        for field in fields {
            value = value.field(field).map_err(|what| fail(place, what))?;
        }
        let mut arguments = Vec::with_capacity(rest.len() + 1);
        for operand in rest {
            arguments.push(self.operand(place, operand, dot, scope)?);
        }
        arguments.extend(piped);
        let called = time::method(&value, name, &arguments);
        called.unwrap_or_else(|| Err("can't give argument to non-function".into())).map_err(|what| fail(place, what))
    }

    /// `and` and `or` look at no more arguments than they need.
    fn short_circuit(
        &mut self,
        place: Place,
        until: bool,
        operands: &[Operand],
        piped: Option<Value>,
        dot: &Value,
        scope: &mut Scope,
    ) -> Result<Value, TemplateError> {
        let mut last = None;
        for operand in operands {
            let value = self.operand(place, operand, dot, scope)?;
            if value.is_true() == until {
                return Ok(value);
            }
            last = Some(value);
        }
        piped.or(last).ok_or_else(|| fail(place, "wrong number of args for and: want at least 1 got 0"))
    }

    /// `tmpl "name" data`: a defined template's text as a value.
    fn nested(&mut self, place: Place, arguments: Vec<Value>) -> Result<Value, TemplateError> {
        let mut arguments = arguments.into_iter();
        let (Some(Value::String(name)), Some(argument), None) = (arguments.next(), arguments.next(), arguments.next())
        else {
            return Err(fail(place, "tmpl wants the name of a template and its data"));
        };
        let outside = std::mem::take(&mut self.out);
        self.call(place, &name, &argument)?;
        Ok(Value::String(std::mem::replace(&mut self.out, outside)))
    }

    fn operand(
        &mut self,
        place: Place,
        operand: &Operand,
        dot: &Value,
        scope: &mut Scope,
    ) -> Result<Value, TemplateError> {
        Ok(match operand {
            Operand::Dot => dot.clone(),
            Operand::Nil => Value::Nil,
            Operand::Bool(flag) => Value::Bool(*flag),
            Operand::Int(number) => Value::Int(*number),
            Operand::Float(number) => Value::Float(*number),
            Operand::Text(text) => Value::String(text.clone()),
            Operand::Paren(pipeline) => self.pipeline(pipeline, dot, scope)?,
            Operand::Function(_) => {
                let alone = Command { operands: vec![operand.clone()] };
                self.command(place, &alone, None, dot, scope)?
            }
            Operand::Variable(name) if name.is_empty() => scope.root.clone(),
            Operand::Variable(name) => {
                let known = scope.variables.iter().rev().find(|(known, _)| known == name);
                known.ok_or_else(|| fail(place, format!("undefined variable \"${name}\"")))?.1.clone()
            }
            Operand::Fields(base, names) => {
                let mut value = self.operand(place, base, dot, scope)?;
                for name in names {
                    value = value.field(name).map_err(|what| fail(place, what))?;
                }
                value
            }
        })
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}
