-- Where what is believed of a person comes from, one row a person and column: the value, the record that has it, and
-- when that was changed last.

with provenance as (
    {{ provenance(ref('int_golden_customer'), 'customer_id', golden_rules()) | indent(4) }}
)

select customer_id, attribute, value, source, record_key, updated_at, chosen_by
from provenance
order by customer_id, place
