//! The order of a project's nodes.

/// The nodes so that each comes after those that it depends on; otherwise as they were.
///
/// `dependencies[n]` are the nodes that node `n` reads.
///
/// # Errors
/// The nodes of a cycle, the first one also last.
pub(crate) fn order(dependencies: &[Vec<usize>]) -> Result<Vec<usize>, Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; dependencies.len()];
    let mut order = Vec::with_capacity(dependencies.len());
    for start in 0..dependencies.len() {
        // The nodes on the way down, each with the number of its dependencies that were looked at.
        let mut way: Vec<(usize, usize)> = Vec::new();
        if marks[start] == Mark::New {
            marks[start] = Mark::Open;
            way.push((start, 0));
        }
        while let Some((node, looked_at)) = way.last_mut() {
            let Some(&next) = dependencies[*node].get(*looked_at) else {
                marks[*node] = Mark::Done;
                order.push(*node);
                way.pop();
                continue;
            };
            *looked_at += 1;
            match marks[next] {
                Mark::Done => {}
                Mark::New => {
                    marks[next] = Mark::Open;
                    way.push((next, 0));
                }
                Mark::Open => {
                    let nodes = way.iter().map(|(node, _)| *node);
                    let mut cycle: Vec<_> = nodes.skip_while(|node| *node != next).collect();
                    cycle.push(next);
                    return Err(cycle);
                }
            }
        }
    }
    Ok(order)
}

/// For each node the nodes that read it.
pub(crate) fn reversed(dependencies: &[Vec<usize>]) -> Vec<Vec<usize>> {
    let mut readers = vec![Vec::new(); dependencies.len()];
    for (node, reads) in dependencies.iter().enumerate() {
        for &read in reads {
            readers[read].push(node);
        }
    }
    readers
}

/// The nodes within `steps` of `start` (`None`: however far), `start` among them.
pub(crate) fn within(edges: &[Vec<usize>], start: usize, steps: Option<usize>) -> Vec<usize> {
    let mut found = vec![start];
    let mut seen = vec![false; edges.len()];
    seen[start] = true;
    let mut frontier = vec![start];
    let mut left = steps.unwrap_or(usize::MAX);
    while left > 0 && !frontier.is_empty() {
        let next = frontier.iter().flat_map(|node| &edges[*node]).copied();
        frontier = next.filter(|node| !std::mem::replace(&mut seen[*node], true)).collect();
        found.extend(&frontier);
        left -= 1;
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cycle_is_named_from_its_first_node() {
        assert_eq!(
            order(&[vec![], vec![0, 2], vec![3], vec![1]]).unwrap_err(),
            [1, 2, 3, 1]
        );
        assert_eq!(order(&[vec![0]]).unwrap_err(), [0, 0]);
    }

    #[test]
    fn steps_are_counted() {
        let readers = reversed(&[vec![], vec![0], vec![1], vec![2]]);
        assert_eq!(within(&readers, 0, Some(2)), [0, 1, 2]);
        assert_eq!(within(&readers, 1, None), [1, 2, 3]);
    }

    proptest! {
        #[test]
        fn every_node_comes_once_and_after_what_it_reads(
            edges in prop::collection::vec((0usize..20, 0usize..20), 0..60),
        ) {
            let mut dependencies = vec![Vec::new(); 20];
            for (a, b) in edges {
                dependencies[a.max(b)].extend((a != b).then_some(a.min(b)));
            }
            let order = order(&dependencies).unwrap();
            let mut position = [usize::MAX; 20];
            for (at, node) in order.iter().enumerate() {
                position[*node] = at;
            }
            prop_assert_eq!(order.len(), 20);
            for (node, reads) in dependencies.iter().enumerate() {
                prop_assert!(reads.iter().all(|read| position[*read] < position[node]));
            }
        }
    }
}
