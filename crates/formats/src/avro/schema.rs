//! Avro schemas (specification 1.11), parsed into one flat table of nodes, so that named types may refer to each other
//! and to themselves.

use std::collections::HashMap;

use serde_json::{Map, Value};
use types::SqlType;

/// Levels of nesting that a schema may have.
const DEPTH_MAX: usize = 64;
/// Nodes that a schema may have.
const NODES_MAX: usize = 10_000;

/// A place in [`Schema::nodes`].
pub(crate) type NodeId = usize;

/// A schema.
#[derive(Debug)]
pub(crate) struct Schema {
    nodes: Vec<Node>,
    named: HashMap<NodeId, Named>,
    pub root: NodeId,
}

/// What else a record, an enum or a fixed says of itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Named {
    /// With its namespace.
    pub name: String,
    /// Full names that it had before.
    pub aliases: Vec<String>,
    /// Of an enum: what stands for symbols that it does not have.
    pub default: Option<String>,
}

impl Named {
    /// The name without its namespace.
    pub fn short(&self) -> &str {
        self.name.rsplit_once('.').map_or(self.name.as_str(), |(_, name)| name)
    }
}

/// A type.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub kind: Kind,
    pub logical: Logical,
}

/// The shape of a type.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Fixed(usize),
    Enum(Vec<String>),
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Record(Vec<Field>),
}

impl Kind {
    /// As schemas and errors name it.
    pub fn name(&self) -> &'static str {
        match self {
            Kind::Null => "null",
            Kind::Boolean => "boolean",
            Kind::Int => "int",
            Kind::Long => "long",
            Kind::Float => "float",
            Kind::Double => "double",
            Kind::Bytes => "bytes",
            Kind::String => "string",
            Kind::Fixed(_) => "fixed",
            Kind::Enum(_) => "enum",
            Kind::Array(_) => "array",
            Kind::Map(_) => "map",
            Kind::Union(_) => "union",
            Kind::Record(_) => "record",
        }
    }
}

/// What a type means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Logical {
    None,
    Decimal {
        precision: u8,
        scale: u8,
    },
    Date,
    TimeMillis,
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    /// Kafka Connect's record of a key and a value, an array of which is a map.
    MapEntry,
}

/// A record's field.
#[derive(Debug, Clone)]
pub(crate) struct Field {
    pub name: String,
    pub node: NodeId,
    pub default: Option<Value>,
    /// Names that it had before.
    pub aliases: Vec<String>,
}

impl Schema {
    /// Parse a schema's JSON, whose types may be defined in other schemas (name and text), each after what it needs.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str, others: &[(String, String)]) -> Result<Schema, String> {
        let mut parser = Parser { nodes: Vec::new(), names: HashMap::new(), named: HashMap::new() };
        for (name, other) in others {
            parser.node(&json(other)?, "", 0).map_err(|e| format!("in {name}: {e}"))?;
        }
        let root = parser.node(&json(text)?, "", 0)?;
        Ok(Schema { nodes: parser.nodes, named: parser.named, root })
    }

    /// The name of a record, an enum or a fixed, with what belongs to it.
    pub fn named(&self, id: NodeId) -> Option<&Named> {
        self.named.get(&id)
    }

    /// A node's type; of a place that does not exist, null.
    pub fn node(&self, id: NodeId) -> &Node {
        const NULL: &Node = &Node { kind: Kind::Null, logical: Logical::None };
        self.nodes.get(id).unwrap_or(NULL)
    }

    /// The fields of a record; none of anything else.
    pub fn fields(&self, id: NodeId) -> &[Field] {
        match &self.node(id).kind {
            Kind::Record(fields) => fields,
            _ => &[],
        }
    }

    /// The one branch of a union that is not null, or the type itself.
    pub fn without_null(&self, id: NodeId) -> Option<NodeId> {
        let Kind::Union(branches) = &self.node(id).kind else { return Some(id) };
        let mut others = branches.iter().filter(|b| !matches!(self.node(**b).kind, Kind::Null));
        match (others.next(), others.next()) {
            (Some(one), None) => Some(*one),
            _ => None,
        }
    }

    /// Key and value of a map that is written as an array of entries.
    pub fn entry(&self, element: NodeId) -> Option<(NodeId, NodeId)> {
        let fields = self.fields(element);
        let named = |name: &str| fields.iter().find(|f| f.name.eq_ignore_ascii_case(name)).map(|f| f.node);
        if fields.len() != 2 {
            return None;
        }
        named("key").zip(named("value"))
    }

    /// The SQL type that values have; `None` where there is none. Fields' names pass through `rename`.
    pub fn sql_type(&self, id: NodeId, rename: fn(&str) -> String) -> Option<SqlType> {
        // Named types may be used again and again within each other, so the depth alone bounds nothing.
        self.sql_type_at(id, rename, 0, &mut 0)
    }

    fn sql_type_at(
        &self,
        id: NodeId,
        rename: fn(&str) -> String,
        depth: usize,
        visited: &mut usize,
    ) -> Option<SqlType> {
        *visited += 1;
        if depth > DEPTH_MAX || *visited > NODES_MAX {
            return None;
        }
        let node = self.node(id);
        let mut inner = |id: NodeId| self.sql_type_at(id, rename, depth + 1, visited);
        Some(match (&node.kind, node.logical) {
            (Kind::Null, _) => return None,
            (Kind::Boolean, _) => SqlType::Boolean,
            (Kind::Int, Logical::Date) => SqlType::Date,
            (Kind::Int, Logical::TimeMillis) => SqlType::Time,
            (Kind::Int, _) => SqlType::Int,
            (Kind::Long, Logical::TimestampMillis) => SqlType::Timestamp,
            (Kind::Long, _) => SqlType::BigInt,
            (Kind::Float | Kind::Double, _) => SqlType::Double,
            (Kind::Bytes | Kind::Fixed(_), Logical::Decimal { precision, scale }) => {
                SqlType::Decimal { precision, scale }
            }
            (Kind::Bytes | Kind::Fixed(_), _) => SqlType::Bytes,
            (Kind::String | Kind::Enum(_), _) => SqlType::String,
            (Kind::Map(value), _) => SqlType::Map(Box::new(SqlType::String), Box::new(inner(*value)?)),
            (Kind::Array(element), _) => match self.entry(*element) {
                Some((key, value)) if self.node(*element).logical == Logical::MapEntry => {
                    SqlType::Map(Box::new(inner(key)?), Box::new(inner(value)?))
                }
                _ => SqlType::Array(Box::new(inner(*element)?)),
            },
            (Kind::Union(_), _) => inner(self.without_null(id)?)?,
            (Kind::Record(fields), _) => {
                let mut field = |f: &Field| Some(types::StructField { name: rename(&f.name), ty: inner(f.node)? });
                let fields: Vec<_> = fields.iter().filter_map(&mut field).collect();
                return (!fields.is_empty()).then_some(SqlType::Struct(fields));
            }
        })
    }
}

fn json(text: &str) -> Result<Value, String> {
    match serde_json::from_str(text) {
        Ok(value) => Ok(value),
        // The name of a type without quotes.
        Err(_) if text.chars().all(|c| c.is_ascii_alphabetic()) => Ok(Value::from(text)),
        Err(e) => Err(format!("an Avro schema must be JSON: {e}")),
    }
}

fn strings(value: Option<&Value>) -> impl Iterator<Item = &str> {
    value.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

struct Parser {
    nodes: Vec<Node>,
    named: HashMap<NodeId, Named>,
    /// Types by full name.
    names: HashMap<String, NodeId>,
}

impl Parser {
    fn push(&mut self, kind: Kind, logical: Logical) -> Result<NodeId, String> {
        if self.nodes.len() >= NODES_MAX {
            return Err(format!("an Avro schema of more than {NODES_MAX} types"));
        }
        self.nodes.push(Node { kind, logical });
        Ok(self.nodes.len() - 1)
    }

    fn node(&mut self, value: &Value, namespace: &str, depth: usize) -> Result<NodeId, String> {
        if depth > DEPTH_MAX {
            return Err(format!("an Avro schema of more than {DEPTH_MAX} levels"));
        }
        match value {
            Value::String(name) => self.named(name, namespace),
            Value::Array(branches) => {
                let branches = branches.iter().map(|b| self.node(b, namespace, depth + 1)).collect::<Result<_, _>>()?;
                self.push(Kind::Union(branches), Logical::None)
            }
            Value::Object(object) => self.object(object, namespace, depth),
            other => Err(format!("an Avro type cannot be {other}")),
        }
    }

    /// A primitive, or a type that was named before.
    fn named(&mut self, name: &str, namespace: &str) -> Result<NodeId, String> {
        if let Some(kind) = primitive(name) {
            return self.push(kind, Logical::None);
        }
        let found = self.names.get(&full_name(name, namespace)).or_else(|| self.names.get(name));
        found.copied().ok_or_else(|| format!("the Avro schema has no type {name}"))
    }

    fn object(&mut self, object: &Map<String, Value>, namespace: &str, depth: usize) -> Result<NodeId, String> {
        let ty = object.get("type").ok_or("an Avro type without \"type\"")?;
        let Value::String(name) = ty else { return self.node(ty, namespace, depth + 1) };
        match name.as_str() {
            "array" => {
                let items =
                    self.node(object.get("items").ok_or("an Avro array without \"items\"")?, namespace, depth + 1)?;
                self.push(Kind::Array(items), Logical::None)
            }
            "map" => {
                let values = object.get("values").ok_or("an Avro map without \"values\"")?;
                let values = self.node(values, namespace, depth + 1)?;
                self.push(Kind::Map(values), Logical::None)
            }
            "enum" => {
                let symbols =
                    object.get("symbols").and_then(Value::as_array).ok_or("an Avro enum without \"symbols\"")?;
                let symbols = symbols.iter().filter_map(Value::as_str).map(str::to_owned).collect();
                let id = self.push(Kind::Enum(symbols), Logical::None)?;
                self.name(object, namespace, id)
            }
            "fixed" => {
                let size = object.get("size").and_then(Value::as_u64).and_then(|n| usize::try_from(n).ok());
                let id = self.push(Kind::Fixed(size.ok_or("an Avro fixed without \"size\"")?), logical(object))?;
                self.name(object, namespace, id)
            }
            "record" | "error" => self.record(object, namespace, depth),
            other => match primitive(other) {
                Some(kind) => self.push(kind, logical(object)),
                None => self.named(other, namespace),
            },
        }
    }

    fn record(&mut self, object: &Map<String, Value>, namespace: &str, depth: usize) -> Result<NodeId, String> {
        // The name comes first: fields may be of the record's own type.
        let id = self.push(Kind::Record(Vec::new()), logical(object))?;
        self.name(object, namespace, id)?;
        let own =
            full_name(object.get("name").and_then(Value::as_str).unwrap_or_default(), &own_space(object, namespace));
        let inside = own.rsplit_once('.').map_or("", |(space, _)| space).to_owned();
        let declared = object.get("fields").and_then(Value::as_array).ok_or("an Avro record without \"fields\"")?;
        let mut fields = Vec::with_capacity(declared.len());
        for field in declared {
            let name = field.get("name").and_then(Value::as_str).ok_or("a field of an Avro record without \"name\"")?;
            let ty = field.get("type").ok_or_else(|| format!("the field {name} of an Avro record without \"type\""))?;
            let node = self.node(ty, &inside, depth + 1)?;
            let aliases = strings(field.get("aliases")).map(str::to_owned).collect();
            fields.push(Field { name: name.to_owned(), node, default: field.get("default").cloned(), aliases });
        }
        if let Some(node) = self.nodes.get_mut(id) {
            node.kind = Kind::Record(fields);
        }
        Ok(id)
    }

    fn name(&mut self, object: &Map<String, Value>, namespace: &str, id: NodeId) -> Result<NodeId, String> {
        let name = object.get("name").and_then(Value::as_str).ok_or("a named Avro type without \"name\"")?;
        let space = own_space(object, namespace);
        let name = full_name(name, &space);
        let aliases = strings(object.get("aliases")).map(|alias| full_name(alias, &space)).collect();
        let default = object.get("default").and_then(Value::as_str).map(str::to_owned);
        self.names.insert(name.clone(), id);
        self.named.insert(id, Named { name, aliases, default });
        Ok(id)
    }
}

fn own_space(object: &Map<String, Value>, namespace: &str) -> String {
    object.get("namespace").and_then(Value::as_str).unwrap_or(namespace).to_owned()
}

fn full_name(name: &str, namespace: &str) -> String {
    if name.contains('.') || namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") }
}

fn primitive(name: &str) -> Option<Kind> {
    Some(match name {
        "null" => Kind::Null,
        "boolean" => Kind::Boolean,
        "int" => Kind::Int,
        "long" => Kind::Long,
        "float" => Kind::Float,
        "double" => Kind::Double,
        "bytes" => Kind::Bytes,
        "string" => Kind::String,
        _ => return None,
    })
}

/// A logical type that makes no sense is no logical type, as the specification wants it.
fn logical(object: &Map<String, Value>) -> Logical {
    if object.get("connect.internal.type").and_then(Value::as_str) == Some("MapEntry") {
        return Logical::MapEntry;
    }
    let digits = |key: &str| object.get(key).and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    match object.get("logicalType").and_then(Value::as_str) {
        Some("decimal") => match types::decimal(digits("precision").unwrap_or(0), digits("scale").unwrap_or(0)) {
            Ok(SqlType::Decimal { precision, scale }) => Logical::Decimal { precision, scale },
            _ => Logical::None,
        },
        Some("date") => Logical::Date,
        Some("time-millis") => Logical::TimeMillis,
        Some("time-micros") => Logical::TimeMicros,
        Some("timestamp-millis") => Logical::TimestampMillis,
        Some("timestamp-micros") => Logical::TimestampMicros,
        _ => Logical::None,
    }
}
