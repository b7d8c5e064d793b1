{{ config(
    materialized='model',
    schema='ml',
    estimator='kmeans',
    features=['recency_days', 'frequency', 'monetary'],
    log=['recency_days', 'frequency', 'monetary'],
    key='customer_id'
) }}
-- Customers who buy alike. Money and frequency are skewed, so their logarithms are compared.

select
    customer_id,
    recency_days,
    frequency,
    cast(monetary as double) as monetary
from {{ ref('rfm') }}
