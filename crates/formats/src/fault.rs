//! Why a record is bad: where, what, and inside which fields.

/// Boxed, so that the path without faults stays small.
#[derive(Debug)]
pub(crate) struct Fault(Box<Parts>);

#[derive(Debug)]
struct Parts {
    at: usize,
    message: String,
    /// Innermost first.
    path: Vec<Step>,
}

/// One level of a path.
#[derive(Debug)]
pub(crate) enum Step {
    Field(String),
    Element(usize),
}

impl Fault {
    /// A fault at byte `at` of the record.
    #[cold]
    pub fn new(at: usize, message: impl Into<String>) -> Fault {
        Fault(Box::new(Parts { at, message: message.into(), path: Vec::new() }))
    }

    /// The fault is inside that field or element.
    #[cold]
    pub fn inside(mut self, step: Step) -> Fault {
        self.0.path.push(step);
        self
    }

    /// The same fault, `bytes` further into the record.
    #[cold]
    pub fn shifted(mut self, bytes: usize) -> Fault {
        self.0.at += bytes;
        self
    }

    /// ``column `A`.F[2]: expected INTEGER, found true (byte 17)``.
    #[cold]
    pub fn render(&self) -> String {
        let mut out = String::new();
        for (i, step) in self.0.path.iter().rev().enumerate() {
            match step {
                Step::Field(name) if i == 0 => out.push_str(&format!("column `{name}`")),
                Step::Field(name) => out.push_str(&format!(".{name}")),
                Step::Element(at) => out.push_str(&format!("[{at}]")),
            }
        }
        let colon = if out.is_empty() { "" } else { ": " };
        format!("{out}{colon}{} (byte {})", self.0.message, self.0.at)
    }
}
