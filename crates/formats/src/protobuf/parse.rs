//! `.proto` files (proto3, and of proto2 what is written the same way) → [`Schema`].
//!
//! Only what decides how bytes become columns is kept: messages, enums, fields, and of options the precision and scale
//! of decimals. Services, extensions and other options are stepped over.

use std::collections::HashMap;

use super::schema::{Enum, Field, Kind, Label, Message, Schema, builtin};

/// Levels of nested messages and imports.
const DEPTH_MAX: usize = 32;
/// Messages, enums and fields of a schema with its imports.
const ITEMS_MAX: usize = 10_000;

/// The text of an import by its name.
pub(crate) type Imports<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Parse a schema with its imports.
///
/// # Errors
/// What was expected, or which type is nowhere.
pub(crate) fn parse(text: &str, imports: Imports<'_>) -> Result<Schema, String> {
    let mut files = Files { schema: Schema::default(), unresolved: Vec::new(), items: 0, imported: Vec::new() };
    files.file(text, imports, true, 0)?;
    files.resolve()?;
    Ok(files.schema)
}

struct Files {
    schema: Schema,
    /// Fields whose type is a name: message, field, the name, the scope where it stands.
    unresolved: Vec<(usize, usize, String, String)>,
    items: usize,
    imported: Vec<String>,
}

impl Files {
    fn file(&mut self, text: &str, imports: Imports<'_>, main: bool, depth: usize) -> Result<(), String> {
        if depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} levels of imports"));
        }
        let mut tokens = Tokens { rest: text };
        let (mut package, mut index) = (String::new(), 0);
        while let Some(word) = tokens.next()? {
            match word {
                "syntax" | "edition" | "option" => tokens.skip_statement()?,
                ";" => {}
                "package" => {
                    package = tokens.word()?.to_owned();
                    tokens.expect(";")?;
                }
                "import" => {
                    let mut name = tokens.word()?;
                    if matches!(name, "public" | "weak") {
                        name = tokens.word()?;
                    }
                    let name = name.trim_matches(['"', '\'']).to_owned();
                    tokens.expect(";")?;
                    // Well-known files that nobody registers are built in.
                    if !self.imported.contains(&name) {
                        self.imported.push(name.clone());
                        if let Some(text) = imports(&name) {
                            self.file(&text, imports, false, depth + 1)?;
                        }
                    }
                }
                "message" => {
                    let path = if main { vec![index] } else { Vec::new() };
                    self.message(&mut tokens, &package, path, 0)?;
                    index += 1;
                }
                "enum" => self.enumeration(&mut tokens, &package)?,
                "service" | "extend" => {
                    tokens.word()?;
                    tokens.skip_block()?;
                }
                other => return Err(format!("a .proto file cannot have {other:?} here")),
            }
        }
        Ok(())
    }

    fn count(&mut self) -> Result<(), String> {
        self.items += 1;
        if self.items > ITEMS_MAX { Err(format!("a schema of more than {ITEMS_MAX} items")) } else { Ok(()) }
    }

    fn message(&mut self, tokens: &mut Tokens<'_>, scope: &str, path: Vec<usize>, depth: usize) -> Result<(), String> {
        self.count()?;
        if depth > DEPTH_MAX {
            return Err(format!("more than {DEPTH_MAX} levels of messages"));
        }
        let name = qualified(scope, tokens.word()?);
        let id = self.schema.messages.len();
        self.schema.messages.push(Message { name: name.clone(), fields: Vec::new(), path: path.clone(), entry: false });
        tokens.expect("{")?;
        let mut nested = 0;
        loop {
            match tokens.word()? {
                "}" => return Ok(()),
                ";" => {}
                "message" => {
                    let mut inner = path.clone();
                    if !path.is_empty() {
                        inner.push(nested);
                    }
                    nested += 1;
                    self.message(tokens, &name, inner, depth + 1)?;
                }
                "enum" => self.enumeration(tokens, &name)?,
                "option" | "reserved" | "extensions" => tokens.skip_statement()?,
                "extend" => {
                    tokens.word()?;
                    tokens.skip_block()?;
                }
                "oneof" => {
                    let oneof = tokens.word()?;
                    tokens.expect("{")?;
                    loop {
                        match tokens.word()? {
                            "}" => break,
                            "option" => tokens.skip_statement()?,
                            ty => {
                                self.field(tokens, id, &name, Label::Optional, ty)?;
                                self.add_to_oneof(id, oneof);
                            }
                        }
                    }
                }
                "map" => self.map(tokens, id, &name, &mut nested)?,
                "optional" => {
                    let ty = tokens.word()?;
                    self.field(tokens, id, &name, Label::Optional, ty)?;
                }
                "repeated" => {
                    let ty = tokens.word()?;
                    self.field(tokens, id, &name, Label::Repeated, ty)?;
                }
                "required" => {
                    let ty = tokens.word()?;
                    self.field(tokens, id, &name, Label::Single, ty)?;
                }
                ty => self.field(tokens, id, &name, Label::Single, ty)?,
            }
        }
    }

    fn field(
        &mut self,
        tokens: &mut Tokens<'_>,
        message: usize,
        scope: &str,
        label: Label,
        ty: &str,
    ) -> Result<(), String> {
        self.count()?;
        let name = tokens.word()?.to_owned();
        let number = tokens.number()?;
        let decimal = tokens.end_of_field()?;
        self.push(message, scope, ty, Field { name, number, kind: Kind::Bool, label, decimal, oneof: None });
        Ok(())
    }

    /// The field that was read last belongs to a oneof.
    fn add_to_oneof(&mut self, message: usize, oneof: &str) {
        if let Some(field) = self.schema.messages.get_mut(message).and_then(|m| m.fields.last_mut()) {
            field.oneof = Some(oneof.to_owned());
        }
    }

    /// Add a field, whose kind a name says.
    fn push(&mut self, message: usize, scope: &str, ty: &str, mut field: Field) {
        let Some(fields) = self.schema.messages.get_mut(message).map(|m| &mut m.fields) else { return };
        match Kind::scalar(ty) {
            Some(kind) => field.kind = kind,
            None => self.unresolved.push((message, fields.len(), ty.to_owned(), scope.to_owned())),
        }
        fields.push(field);
    }

    /// `map<K, V> name = n;` stands for a repeated message of a key and a value.
    fn map(&mut self, tokens: &mut Tokens<'_>, message: usize, scope: &str, nested: &mut usize) -> Result<(), String> {
        self.count()?;
        tokens.expect("<")?;
        let key = tokens.word()?.to_owned();
        tokens.expect(",")?;
        let value = tokens.word()?.to_owned();
        tokens.expect(">")?;
        let name = tokens.word()?.to_owned();
        let number = tokens.number()?;
        tokens.end_of_field()?;
        let entry = self.schema.messages.len();
        let entry_name = qualified(scope, &format!("{name}.entry"));
        *nested += 1;
        self.schema.messages.push(Message { name: entry_name, fields: Vec::new(), path: Vec::new(), entry: true });
        let part = |name: &str, number| Field {
            name: name.to_owned(),
            number,
            kind: Kind::Bool,
            label: Label::Single,
            decimal: None,
            oneof: None,
        };
        self.push(entry, scope, &key, part("key", 1));
        self.push(entry, scope, &value, part("value", 2));
        let field =
            Field { name, number, kind: Kind::Message(entry), label: Label::Repeated, decimal: None, oneof: None };
        if let Some(message) = self.schema.messages.get_mut(message) {
            message.fields.push(field);
        }
        Ok(())
    }

    fn enumeration(&mut self, tokens: &mut Tokens<'_>, scope: &str) -> Result<(), String> {
        self.count()?;
        let name = qualified(scope, tokens.word()?);
        let mut symbols = Vec::new();
        tokens.expect("{")?;
        loop {
            match tokens.word()? {
                "}" => break,
                ";" => {}
                "option" | "reserved" => tokens.skip_statement()?,
                symbol => {
                    self.count()?;
                    tokens.expect("=")?;
                    let number = tokens.word()?;
                    let number = if number == "-" { format!("-{}", tokens.word()?) } else { number.to_owned() };
                    let number = number.parse().map_err(|_| format!("{number:?} cannot be an enum's number"))?;
                    tokens.end_of_field()?;
                    symbols.push((symbol.to_owned(), number));
                }
            }
        }
        self.schema.enums.push(Enum { name, symbols });
        Ok(())
    }

    /// Find types by name, from the innermost scope outwards.
    fn resolve(&mut self) -> Result<(), String> {
        let mut known: HashMap<String, Kind> = HashMap::new();
        for (i, message) in self.schema.messages.iter().enumerate() {
            known.entry(message.name.clone()).or_insert(Kind::Message(i));
        }
        for (i, one) in self.schema.enums.iter().enumerate() {
            known.entry(one.name.clone()).or_insert(Kind::Enum(i));
        }
        for (message, field, name, scope) in std::mem::take(&mut self.unresolved) {
            let kind = find(&known, &name, &scope).or_else(|| builtin(name.trim_start_matches('.')));
            let kind = kind.ok_or_else(|| format!("the schema has no type {name}"))?;
            if let Some(field) = self.schema.messages.get_mut(message).and_then(|m| m.fields.get_mut(field)) {
                field.kind = kind;
            }
        }
        Ok(())
    }
}

fn find(known: &HashMap<String, Kind>, name: &str, scope: &str) -> Option<Kind> {
    if let Some(full) = name.strip_prefix('.') {
        return known.get(full).copied();
    }
    let mut scope = scope;
    loop {
        if let Some(kind) = known.get(&qualified(scope, name)) {
            return Some(*kind);
        }
        if scope.is_empty() {
            return None;
        }
        scope = scope.rsplit_once('.').map_or("", |(outer, _)| outer);
    }
}

fn qualified(scope: &str, name: &str) -> String {
    if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") }
}

/// Words, numbers, strings and single signs; comments and blanks lie between them.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Tokens<'a> {
    fn next(&mut self) -> Result<Option<&'a str>, String> {
        loop {
            self.rest = self.rest.trim_start();
            if let Some(comment) = self.rest.strip_prefix("//") {
                self.rest = comment.split_once('\n').map_or("", |(_, rest)| rest);
            } else if let Some(comment) = self.rest.strip_prefix("/*") {
                self.rest = comment.split_once("*/").ok_or("a comment does not end")?.1;
            } else {
                break;
            }
        }
        let Some(first) = self.rest.chars().next() else { return Ok(None) };
        let length = match first {
            '"' | '\'' => self.string_length(first)?,
            c if is_word(c) => self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len()),
            c => c.len_utf8(),
        };
        let (token, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(Some(token))
    }

    fn string_length(&self, quote: char) -> Result<usize, String> {
        let mut escaped = false;
        for (i, c) in self.rest.char_indices().skip(1) {
            if c == quote && !escaped {
                return Ok(i + c.len_utf8());
            }
            escaped = c == '\\' && !escaped;
        }
        Err("a string does not end".to_owned())
    }

    fn word(&mut self) -> Result<&'a str, String> {
        self.next()?.ok_or_else(|| "the .proto file ends too early".to_owned())
    }

    fn expect(&mut self, token: &str) -> Result<(), String> {
        match self.word()? {
            found if found == token => Ok(()),
            found => Err(format!("expected {token:?} in the .proto file, found {found:?}")),
        }
    }

    /// `= n`.
    fn number(&mut self) -> Result<u32, String> {
        self.expect("=")?;
        let word = self.word()?;
        word.parse().map_err(|_| format!("{word:?} cannot be a field's number"))
    }

    /// Options, if any, and the semicolon; precision and scale, if the options have them.
    fn end_of_field(&mut self) -> Result<Option<(u32, u32)>, String> {
        let mut depth = 0usize;
        // The words of each pair of braces, `key: "precision", value: "4"` in either order.
        let mut groups: Vec<Vec<&str>> = vec![Vec::new()];
        loop {
            match self.word()? {
                ";" if depth == 0 => break,
                "[" | "{" => {
                    depth += 1;
                    groups.push(Vec::new());
                }
                "]" | "}" => depth = depth.saturating_sub(1),
                word => groups.last_mut().into_iter().for_each(|group| group.push(word.trim_matches('"'))),
            }
        }
        let parameter = |name: &str| {
            let group = groups.iter().find(|group| group.contains(&name))?;
            group.iter().find_map(|word| word.parse().ok())
        };
        Ok(parameter("precision").zip(parameter("scale")))
    }

    fn skip_statement(&mut self) -> Result<(), String> {
        let mut depth = 0usize;
        loop {
            match self.word()? {
                "{" => depth += 1,
                "}" => depth = depth.saturating_sub(1),
                ";" if depth == 0 => return Ok(()),
                _ => {}
            }
        }
    }

    fn skip_block(&mut self) -> Result<(), String> {
        self.expect("{")?;
        let mut depth = 1usize;
        while depth > 0 {
            match self.word()? {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
        }
        Ok(())
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '.'
}
