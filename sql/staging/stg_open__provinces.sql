with source as (
    select * from {{ source('open', 'provinces') }}
)

select
    lpad(cast(codigo as varchar), 2, '0') as province_code,
    provincia as province_name,
    comunidad_autonoma as community,
    capital,
    cast(poblacion_miles as bigint) * 1000 as population,
    cast(latitud as double) as latitude,
    cast(longitud as double) as longitude
from source
