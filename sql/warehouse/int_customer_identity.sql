-- Which customer a record belongs to: records that share an e-mail address, a loyalty card, or a telephone and an
-- initial are one person, and so are those connected through others. Each round every record takes the smallest
-- label among those it shares a key with; five rounds reach everybody, and a test says so.

with records as (
    select record_key, system, record_id, email, card_key, phone_key
    from {{ ref('int_customer_records') }}
),

round_0 as (
    select *, record_key as label from records
),

{% for round in range(1, 6) -%}
round_{{ round }} as (
    select
        record_key, system, record_id, email, card_key, phone_key,
        least(
            min(label) over (partition by coalesce(email, record_key)),
            min(label) over (partition by coalesce(card_key, record_key)),
            min(label) over (partition by coalesce(phone_key, record_key))
        ) as label
    from round_{{ round - 1 }}
),

{% endfor -%}
final as (
    select record_key, system, record_id, substr(md5(label), 1, 16) as customer_id
    from round_5
)

select * from final
