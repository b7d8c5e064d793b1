with source as (
    select * from {{ source('office', 'stores') }}
)

select
    cod_tienda as store_id,
    nombre as store_name,
    direccion as street,
    lpad(cast(codigo_postal as varchar), 5, '0') as postcode,
    municipio as city,
    lpad(cast(cod_provincia as varchar), 2, '0') as province_code,
    cast(latitud as double) as latitude,
    cast(longitud as double) as longitude,
    cast(superficie_m2 as int) as sales_area_m2,
    cast(ano_apertura as int) as opened_in
from source
