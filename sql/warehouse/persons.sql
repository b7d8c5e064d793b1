{{ config(
    materialized='model',
    schema='ml',
    estimator='identity',
    key='record_key',
    inputs={'decisions': ref('identity_decisions')},
    outputs=['pairs', 'merges', 'quality']
) }}
-- Who is who: which records are of one person, by all that they say and not by one key. A loyalty card that is linked to
-- an account settles it; so do the decisions of whoever looked at two records.

select record_key, first_name, last_name, born_on, email, phone, street, postcode, city, loyalty_card
from {{ ref('int_customer_records') }}
