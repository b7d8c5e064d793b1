-- What is believed of every customer, column by column, and which record says it. The rules are in
-- macros/golden_rules.sql.

with records as (
    select
        identity.customer_id,
        records.record_key,
        records.system,
        records.updated_at,
        initcap(records.first_name) as first_name,
        initcap(records.last_name) as last_name,
        records.email,
        records.phone,
        records.born_on,
        records.street,
        records.postcode,
        records.city,
        records.province_code
    from {{ ref('int_customer_records') }} as records
    inner join {{ ref('int_customer_identity') }} as identity on records.record_key = identity.record_key
),

golden as (
    {{ survivorship(
        records='records', person='customer_id', record='record_key', source='system', updated='updated_at',
        sources=golden_sources(), rules=golden_rules()
    ) | indent(4) }}
)

select * from golden
