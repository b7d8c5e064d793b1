-- Who became one person with whom, and who was taken apart: all changes of a customer's id there ever were, for both
-- ids. After a merge the old id is no customer's any more; here it still leads to the new one.

with changes as (
    select number, change, from_person_id, to_person_id, records from {{ ref('persons__merges') }}
),

sides as (
    select to_person_id as customer_id, * from changes
    union all
    select from_person_id as customer_id, * from changes
)

select
    customer_id,
    number,
    change,
    from_person_id as from_customer_id,
    to_person_id as to_customer_id,
    records
from sides
order by customer_id, number
