//! What the names of WITH mean at a place of a statement.

use datafusion::sql::sqlparser::ast::{Query, SetExpr, With};

/// A query that is being visited.
struct Frame {
    with: Option<With>,
    /// How many queries within it have been entered: those of WITH come first.
    children: usize,
}

/// The queries around a place, the outermost first.
#[derive(Default)]
pub(super) struct Scope {
    frames: Vec<Frame>,
}

impl Scope {
    /// Goes into a query.
    pub fn enter(&mut self, query: &Query) {
        if let Some(parent) = self.frames.last_mut() {
            parent.children += 1;
        }
        self.frames.push(Frame {
            with: query.with.clone(),
            children: 0,
        });
    }

    /// Goes out of the innermost query.
    pub fn leave(&mut self) {
        self.frames.pop();
    }

    /// The body as a query in which the names of WITH mean what they mean here.
    pub fn query(&self, body: SetExpr) -> Query {
        let mut query = query_of(body);
        let mut inside: Option<usize> = None;
        for (place, frame) in self.frames.iter().enumerate().rev() {
            if let Some(with) = &frame.with {
                let mut with = with.clone();
                if let Some(child) = inside {
                    with.cte_tables.truncate(child);
                }
                if !with.cte_tables.is_empty() {
                    if query.with.is_some() {
                        query = query_of(SetExpr::Query(Box::new(query)));
                    }
                    query.with = Some(with);
                }
            }
            let parent = place.checked_sub(1).and_then(|place| self.frames.get(place));
            inside = parent.and_then(|parent| parent.children.checked_sub(1));
        }
        query
    }
}

fn query_of(body: SetExpr) -> Query {
    Query {
        with: None,
        body: Box::new(body),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}
