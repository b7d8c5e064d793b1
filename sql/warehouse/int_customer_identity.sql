-- Which customer every record belongs to, and why.

select
    records.record_key,
    records.system,
    records.record_id,
    persons.person_id as customer_id,
    persons.why,
    persons.linked_to,
    persons.weight
from {{ ref('int_customer_records') }} as records
inner join {{ ref('persons') }} as persons on records.record_key = persons.record_key
