-- What is believed of a customer stands in the record that it is said to come from.
select golden.customer_id, golden.record_key, golden.attribute
from {{ ref('golden_record') }} as golden
left join {{ ref('int_customer_records') }} as records on golden.record_key = records.record_key
where records.record_key is null
    or golden.updated_at is distinct from records.updated_at
    or golden.value is distinct from case golden.attribute
        when 'first_name' then initcap(records.first_name)
        when 'last_name' then initcap(records.last_name)
        when 'email' then records.email
        when 'phone' then records.phone
        when 'born_on' then cast(records.born_on as varchar)
        when 'street' then records.street
        when 'postcode' then records.postcode
        when 'city' then records.city
        when 'province_code' then records.province_code
    end
