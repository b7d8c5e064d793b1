use super::*;
use crate::sql::ReadQuery;

fn of_table(audience: &str) -> Result<bool, String> {
    is_of_table(&ReadQuery::parse(audience).unwrap().query, "customer_id")
}

#[test]
fn a_key_that_is_not_of_the_rows_own_person_is_found_wherever_it_comes_from() {
    for audience in [
        // It is made up.
        "select 1 as customer_id, email from t",
        "select 'c' || '1' CUSTOMER_ID, email from t",
        "select cast(null as int) as customer_id, email from t",
        "select current_user as customer_id, email from t",
        "select coalesce(null, 'c1') as customer_id, email from t",
        "select coalesce('c1', customer_id) as customer_id, email from t",
        "select case when true then 'c1' else customer_id end as customer_id, email from t",
        "select 'c1' as customer_id, 'a@example.com' as email",
        "select id + 0 as customer_id, email from t",
        // It is another one's.
        "select (select max(id) from c) as customer_id, email from t",
        "select (select max(u.id) from u where u.email = t.email) as customer_id, email from t",
        "select max(customer_id) as customer_id, email from t group by email",
        "select first_value(customer_id) over (order by email) as customer_id, email from t",
        "select lag(customer_id) over (order by email) as customer_id, email from t",
        // It comes from a query in the place of a table.
        "select * from (select 1 as customer_id, email from t) as a",
        "select a.customer_id, b.email from (select 1 as customer_id from t) a join c b on true",
        "select a.customer_id, b.email from (select 1 as customer_id) a join c b on a.customer_id = b.x",
        "with a as (select 1 as customer_id, email from t) select customer_id, email from a",
        "with a as (select 1 as customer_id, email from t), b as (select * from a) select b.* from b",
        "with a (customer_id, e) as (select 1, email from t) select customer_id, e from a",
        "select coalesce(a.k, 'x') as customer_id, email from t, (select 2 as k from t) as a",
        "select k as customer_id, e from (select 1, email from t) as a (k, e)",
        "(select 1 as customer_id, email from t)",
        // Values and functions are no tables.
        "values (1, 'a@example.com')",
        "select customer_id, email from (values (1, 'a@example.com')) as v (customer_id, email)",
        "with v (customer_id, email) as (values (1, 'a@example.com')) select * from v",
        "select customer_id, email from unnest(['c1']) as v (customer_id) join t on true",
        "select v.customer_id, t.email from generate_series(1, 9) as v (customer_id), t",
        // A part of a union.
        "select customer_id, email from t union all select 1, email from t",
        "select customer_id, email from t union all select 'c1', 'a@example.com'",
        "select customer_id, email from t union all values ('c1', 'a@example.com')",
        "select * from t union all select 'c1', 'a@example.com'",
        "select * from t union all select email as customer_id, 'c1' from t",
        "select * from t union all select * from (select 'c1' as email, customer_id from t) as a",
        "select email, customer_id from t union all select customer_id, email from t",
        "select customer_id, email from (select customer_id, email from t union select 7 as x, email from t) a",
        "(select customer_id, email from t union select customer_id, email from t) union select 1, email from t",
        "with recursive a as (select customer_id, email from t union all select 'c1', email from a) select * from a",
        "with a as (select customer_id, email from t union all select 'c1', email from t) select * from a",
        "select customer_id, email from t union all by name select email, 'c1' as customer_id from t",
        // Keys of two sorts.
        "select customer_id, email from t union all select order_id, email from o",
        "select coalesce(t.customer_id, o.order_id) as customer_id, t.email from t join o on t.x = o.x",
        // The server gives a name, or another column in its place.
        "select *, (select 'c1' as customer_id) from t",
        "select * replace ('c1' as customer_id) from t",
        "select email, customer_id from t |> extend 1 as x",
        // What stands beside it is anybody's.
        "select c.customer_id, e.email from customers c, emails e",
        "select c.customer_id, e.email from customers c cross join emails e where c.customer_id in ('c1', 'c2')",
        "select c.customer_id, e.email from customers c join emails e on true",
        "select c.customer_id, e.email from customers c join emails e on c.customer_id <> e.customer_id",
        "select c.customer_id, e.email from customers c join emails e on c.x = e.x or true",
        "select customer_id, email from customers, emails",
        "select c.*, e.* from customers c, emails e where c.customer_id = 'c1'",
        "select c.customer_id, (e.email) as x from customers c, (select email from emails) e",
    ] {
        match ReadQuery::parse(audience) {
            Ok(read) => assert!(is_of_table(&read.query, "customer_id").is_err(), "{audience}"),
            // What is not even read cannot be sent.
            Err(why) => assert!(audience.contains("|>") || audience.contains('['), "{audience}: {why}"),
        }
    }
}

#[test]
fn a_key_that_comes_from_the_rows_is_taken() {
    for audience in [
        "select customer_id, email from t",
        "select * from t",
        "select t.* from t cross join (select 1 as one from u) x",
        "select id as customer_id, email from marts.customers",
        "select cast(id as text) as customer_id, 1 as wave from t",
        "select customer_id::text, email from t",
        "select 'C-' || id as customer_id, email from t",
        "select customer_id, 1 as x from t union all select customer_id, 2 from u",
        "select * from t union all select * from u",
        "select customer_id, email from t except select customer_id, email from stopped",
        "with a as (select * from t) select customer_id, email from a",
        "with a as (select id, email from t) select a.id as customer_id, email from a",
        "with recursive a as (select customer_id, 1 as n from t union all select customer_id, n + 1 from a)
         select * from a",
        "select customer_id, max(email) as email from t group by customer_id",
        "select c.customer_id, e.email from customers c join emails e on c.customer_id = e.customer_id",
        "select c.customer_id, e.email from customers c left join emails e using (customer_id)",
        "select customer_id, email from customers natural join emails",
        "select c.customer_id, e.email from customers c, emails e where e.owner = c.customer_id and e.ok",
        "select customer_id, email, total from customers join orders on customer_id = buyer",
        "select coalesce(a.customer_id, b.customer_id) as customer_id, a.email from a full join b
         on a.customer_id = b.customer_id",
        "select c.customer_id, c.email, p.code from customers c cross join (select 'SAVE' as code) p",
        "select c.customer_id, c.email, d.today from customers c, (select max(day) as today from days) d",
        "select c.customer_id, s.name from customers c join segments s on c.spent between s.low and s.high",
        "select customer_id, email from t where customer_id in (select customer_id from u)",
        "select customer_id, n from t cross join generate_series(1, 3) as g (n)",
        "select t.customer_id, (select max(at) from orders o where o.customer_id = t.customer_id) as last from t",
        "select * from (select customer_id, email, row_number() over (partition by email) as n from t) a where n = 1",
    ] {
        assert_eq!(of_table(audience), Ok(true), "{audience}");
    }
    assert_eq!(of_table("select email from t"), Ok(false));
}

#[test]
fn what_doubles_with_every_query_comes_to_an_end() {
    let mut with = "with a0 as (select customer_id, email from t)".to_owned();
    for n in 1..40 {
        let before = n - 1;
        with += &format!(", a{n} as (select * from a{before} union all select * from a{before})");
    }
    // Whether it is followed or refused: it is not followed for ever.
    drop(of_table(&format!("{with} select * from a39")));
    let mut deep = "with a0 as (select customer_id, email from t)".to_owned();
    for n in 1..3000 {
        deep += &format!(", a{n} as (select * from a{})", n - 1);
    }
    assert!(of_table(&format!("{deep} select * from a2999")).is_err());
}
