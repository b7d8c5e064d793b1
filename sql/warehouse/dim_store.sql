with stores as (
    select * from {{ ref('stg_office__stores') }}
)

select
    store_id, store_name, street, postcode, city, province_code, latitude, longitude, sales_area_m2, opened_in
from stores
