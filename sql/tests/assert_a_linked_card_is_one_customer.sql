-- Who linked a loyalty card to an account is one customer, unless somebody decided otherwise.
select records.loyalty_card, count(distinct identity.customer_id) as customers
from {{ ref('int_customer_records') }} as records
inner join {{ ref('int_customer_identity') }} as identity on records.record_key = identity.record_key
where records.loyalty_card is not null
    and not exists (select 1 from {{ ref('identity_decisions') }} where decision = 'never')
group by records.loyalty_card
having count(distinct identity.customer_id) > 1
