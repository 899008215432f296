//! Tokens into nodes.

use std::collections::BTreeMap;

use super::lex::{Kind, Token, error, lex, place};
use super::{DEPTH_MAX, TemplateError, VARIABLES, functions};

/// A parsed text with everything it defines.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Tree {
    pub(super) root: Vec<Node>,
    /// `{{ define "name" }}` and `{{ block "name" }}`.
    pub(super) defined: BTreeMap<String, Vec<Node>>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Text(String),
    /// `{{ pipeline }}`: printed, unless it declares or assigns.
    Print(Pipeline),
    If(Vec<Node>, Pipeline, Vec<Node>),
    With(Vec<Node>, Pipeline, Vec<Node>),
    Range(Vec<Node>, Pipeline, Vec<Node>),
    Break,
    Continue,
    /// `{{ template "name" pipeline }}`
    Call(Place, String, Option<Pipeline>),
}

/// Line and column, from 1.
pub(super) type Place = (usize, usize);

/// `$a, $b := first | second arg`
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pipeline {
    pub(super) place: Place,
    /// Variables that are declared, or assigned to.
    pub(super) variables: Vec<String>,
    pub(super) declares: bool,
    pub(super) commands: Vec<Command>,
}

/// A function with arguments, or one operand.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Command {
    pub(super) operands: Vec<Operand>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Operand {
    Dot,
    Nil,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Function(String),
    Variable(String),
    Paren(Box<Pipeline>),
    /// `operand.a.b`
    Fields(Box<Operand>, Vec<String>),
}

/// Parses `text`; what it defines goes into `tree`.
pub(super) fn parse(text: &str, tree: &mut Tree) -> Result<Vec<Node>, TemplateError> {
    let tokens = lex(text)?;
    let known = std::iter::once("").chain(VARIABLES.map(|(variable, _)| variable)).map(str::to_owned).collect();
    let mut parser = Parser { text, tokens, next: 0, depth: 0, loops: 0, known, tree };
    let (nodes, end) = parser.list(&[])?;
    debug_assert!(end.is_empty(), "only the end of the text ends the outermost list");
    Ok(nodes)
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    next: usize,
    depth: usize,
    loops: usize,
    /// The variables that are known here, innermost last; the one without a name is `$`.
    known: Vec<String>,
    tree: &'a mut Tree,
}

impl Parser<'_> {
    fn peek(&self) -> Option<&Kind> {
        self.tokens.get(self.next).map(|token| &token.kind)
    }

    fn at(&self) -> usize {
        self.tokens.get(self.next).map_or(self.text.len(), |token| token.at)
    }

    fn fail<T>(&self, what: impl Into<String>) -> Result<T, TemplateError> {
        Err(error(self.text, self.at(), what))
    }

    fn skip_space(&mut self) {
        while self.peek() == Some(&Kind::Space) {
            self.next += 1;
        }
    }

    /// Nodes up to one of the words in `ends` (consumed with its `{{`), or the end of the text where there are none.
    fn list(&mut self, ends: &[&str]) -> Result<(Vec<Node>, String), TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail(format!("blocks are nested deeper than {DEPTH_MAX}"));
        }
        let (mut nodes, outer) = (Vec::new(), self.known.len());
        loop {
            match self.peek().cloned() {
                None if ends.is_empty() => {
                    self.depth -= 1;
                    return Ok((nodes, String::new()));
                }
                None => return self.fail("unexpected EOF"),
                Some(Kind::Text(plain)) => {
                    self.next += 1;
                    nodes.push(Node::Text(plain));
                }
                Some(_) => {
                    self.next += 1; // `{{`
                    self.skip_space();
                    let word = match self.peek() {
                        Some(Kind::Word(word)) => word.clone(),
                        _ => String::new(),
                    };
                    if word == "end" || word == "else" {
                        if !ends.contains(&word.as_str()) {
                            return self.fail(format!("unexpected {{{{{word}}}}}"));
                        }
                        self.next += 1;
                        self.depth -= 1;
                        self.known.truncate(outer);
                        return Ok((nodes, word));
                    }
                    nodes.extend(self.action(&word)?);
                }
            }
        }
    }

    fn action(&mut self, word: &str) -> Result<Option<Node>, TemplateError> {
        let place = place(self.text, self.at());
        if matches!(word, "if" | "with" | "range" | "define" | "template" | "block" | "break" | "continue") {
            self.next += 1;
        }
        match word {
            "if" | "with" | "range" => self.branch(word).map(Some),
            "break" | "continue" => {
                if self.loops == 0 {
                    return self.fail(format!("{{{{{word}}}}} outside {{{{range}}}}"));
                }
                self.close()?;
                Ok(Some(if word == "break" { Node::Break } else { Node::Continue }))
            }
            "define" => {
                let name = self.name(word)?;
                self.close()?;
                let body = self.body()?;
                self.tree.defined.insert(name, body);
                Ok(None)
            }
            "template" => {
                let name = self.name(word)?;
                self.skip_space();
                let argument = if self.peek() == Some(&Kind::Close) { None } else { Some(self.pipeline()?) };
                self.close()?;
                Ok(Some(Node::Call(place, name, argument)))
            }
            "block" => {
                let name = self.name(word)?;
                let argument = self.pipeline()?;
                self.close()?;
                let body = self.body()?;
                self.tree.defined.insert(name.clone(), body);
                Ok(Some(Node::Call(place, name, Some(argument))))
            }
            _ => {
                let pipeline = self.pipeline()?;
                self.close()?;
                Ok(Some(Node::Print(pipeline)))
            }
        }
    }

    /// What is defined, up to its end; it knows no variable but `$`.
    fn body(&mut self) -> Result<Vec<Node>, TemplateError> {
        let outside = std::mem::replace(&mut self.known, vec![String::new()]);
        let (body, _) = self.list(&["end"])?;
        self.close()?;
        self.known = outside;
        Ok(body)
    }

    /// Behind `if`, `with` or `range`: the condition, both branches, the end.
    fn branch(&mut self, word: &str) -> Result<Node, TemplateError> {
        let outer = self.known.len();
        let node = self.both(word)?;
        self.known.truncate(outer);
        Ok(node)
    }

    fn both(&mut self, word: &str) -> Result<Node, TemplateError> {
        let condition = self.pipeline()?;
        self.close()?;
        let is_loop = usize::from(word == "range");
        self.loops += is_loop;
        let (then, end) = self.list(&["else", "end"])?;
        self.loops -= is_loop;
        let mut otherwise = Vec::new();
        if end == "else" {
            self.skip_space();
            match self.peek() {
                Some(Kind::Word(again)) if again == word && word != "range" => {
                    self.next += 1;
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return self.fail(format!("blocks are nested deeper than {DEPTH_MAX}"));
                    }
                    let chained = self.branch(word)?; // its end is ours
                    self.depth -= 1;
                    return Ok(make(word, then, condition, vec![chained]));
                }
                _ => {
                    self.close()?;
                    (otherwise, _) = self.list(&["end"])?;
                }
            }
        }
        self.close()?;
        Ok(make(word, then, condition, otherwise))
    }

    fn must_know(&self, name: &str, at: usize) -> Result<(), TemplateError> {
        match self.known.iter().any(|known| known == name) {
            true => Ok(()),
            false => Err(error(self.text, at, format!("undefined variable \"${name}\""))),
        }
    }

    fn name(&mut self, word: &str) -> Result<String, TemplateError> {
        self.skip_space();
        match self.peek().cloned() {
            Some(Kind::Text2(name)) => {
                self.next += 1;
                Ok(name)
            }
            _ => self.fail(format!("{word} needs a quoted name")),
        }
    }

    fn close(&mut self) -> Result<(), TemplateError> {
        self.skip_space();
        match self.peek() {
            Some(Kind::Close) => {
                self.next += 1;
                Ok(())
            }
            _ => self.fail("unexpected token, expected }}"),
        }
    }

    fn pipeline(&mut self) -> Result<Pipeline, TemplateError> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return self.fail(format!("parentheses are nested deeper than {DEPTH_MAX}"));
        }
        self.skip_space();
        let place = place(self.text, self.at());
        let (variables, declares) = self.variables();
        match declares {
            true => self.known.extend(variables.iter().cloned()),
            false => {
                for name in &variables {
                    self.must_know(name, self.at())?;
                }
            }
        }
        let mut commands = Vec::new();
        loop {
            commands.push(self.command()?);
            self.skip_space();
            match self.peek() {
                Some(Kind::Sign('|')) => self.next += 1,
                _ => break,
            }
        }
        self.depth -= 1;
        Ok(Pipeline { place, variables, declares, commands })
    }

    /// `$a :=`, `$a, $b :=`, `$a =`; none where no such beginning stands here.
    fn variables(&mut self) -> (Vec<String>, bool) {
        let start = self.next;
        let mut names = Vec::new();
        loop {
            self.skip_space();
            let Some(Kind::Variable(name)) = self.peek().cloned() else { break };
            self.next += 1;
            names.push(name);
            self.skip_space();
            match self.peek() {
                Some(Kind::Sign(',')) => self.next += 1,
                Some(Kind::Declare) => {
                    self.next += 1;
                    return (names, true);
                }
                Some(Kind::Sign('=')) => {
                    self.next += 1;
                    return (names, false);
                }
                _ => break,
            }
        }
        self.next = start;
        (Vec::new(), false)
    }

    fn command(&mut self) -> Result<Command, TemplateError> {
        let mut operands = Vec::new();
        loop {
            self.skip_space();
            match self.peek() {
                Some(Kind::Close | Kind::Sign('|' | ')')) | None => break,
                _ => operands.push(self.operand()?),
            }
        }
        match operands.is_empty() {
            true => self.fail("missing value for command"),
            false => Ok(Command { operands }),
        }
    }

    fn operand(&mut self) -> Result<Operand, TemplateError> {
        let Some(kind) = self.peek().cloned() else { return self.fail("unexpected end of action") };
        let place = self.at();
        self.next += 1;
        let mut operand = match kind {
            Kind::Dot => Operand::Dot,
            Kind::Field(name) => Operand::Fields(Box::new(Operand::Dot), vec![name]),
            Kind::Variable(name) => {
                self.must_know(&name, place)?;
                Operand::Variable(name)
            }
            Kind::Text2(text) => Operand::Text(text),
            Kind::Int(number) => Operand::Int(number),
            Kind::Float(number) => Operand::Float(number),
            Kind::Word(word) => match word.as_str() {
                "true" => Operand::Bool(true),
                "false" => Operand::Bool(false),
                "nil" => Operand::Nil,
                _ if functions::exists(&word) => Operand::Function(word),
                _ => return Err(error(self.text, place, format!("function {word:?} not defined"))),
            },
            Kind::Sign('(') => {
                let inner = self.pipeline()?;
                self.skip_space();
                if self.peek() != Some(&Kind::Sign(')')) {
                    return self.fail("unclosed left paren");
                }
                self.next += 1;
                Operand::Paren(Box::new(inner))
            }
            _ => return Err(error(self.text, place, "unexpected token in operand")),
        };
        while let Some(Kind::Field(name)) = self.peek().cloned() {
            self.next += 1;
            match &mut operand {
                Operand::Fields(_, names) => names.push(name),
                _ => operand = Operand::Fields(Box::new(operand), vec![name]),
            }
        }
        Ok(operand)
    }
}

fn make(word: &str, then: Vec<Node>, condition: Pipeline, otherwise: Vec<Node>) -> Node {
    match word {
        "if" => Node::If(then, condition, otherwise),
        "with" => Node::With(then, condition, otherwise),
        _ => Node::Range(then, condition, otherwise),
    }
}
