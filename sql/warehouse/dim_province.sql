with provinces as (
    select * from {{ ref('stg_open__provinces') }}
)

select province_code, province_name, community, capital, population, latitude, longitude
from provinces
