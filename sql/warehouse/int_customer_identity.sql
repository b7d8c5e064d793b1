-- Which customer a record belongs to: records that share an e-mail address, a loyalty card, or a telephone and an
-- initial are one person, and so are those connected through others. A group is known by the smallest number in it;
-- each round every record takes the smallest number among those it shares a group with. Six rounds reach everybody,
-- and a test says so. Numbers, because the rounds sort them many times.

with records as (
    select record_number, record_key, system, record_id, email, card_key, phone_key
    from {{ ref('int_customer_records') }}
),

by_email as (
    select email, min(record_number) as smallest from records where email is not null group by email
),

by_card as (
    select card_key, min(record_number) as smallest from records where card_key is not null group by card_key
),

by_phone as (
    select phone_key, min(record_number) as smallest from records where phone_key is not null group by phone_key
),

round_0 as (
    select
        records.record_number,
        coalesce(by_email.smallest, records.record_number) as email_group,
        coalesce(by_card.smallest, records.record_number) as card_group,
        coalesce(by_phone.smallest, records.record_number) as phone_group,
        records.record_number as label
    from records
    left join by_email on records.email = by_email.email
    left join by_card on records.card_key = by_card.card_key
    left join by_phone on records.phone_key = by_phone.phone_key
),

{% for round in range(1, 7) -%}
round_{{ round }} as (
    select
        record_number, email_group, card_group, phone_group,
        least(
            min(label) over (partition by email_group),
            min(label) over (partition by card_group),
            min(label) over (partition by phone_group)
        ) as label
    from round_{{ round - 1 }}
),

{% endfor -%}
final as (
    select
        records.record_key,
        records.system,
        records.record_id,
        substr(md5(first_records.record_key), 1, 16) as customer_id
    from round_6 as labels
    inner join records on labels.record_number = records.record_number
    inner join records as first_records on labels.label = first_records.record_number
)

select * from final
