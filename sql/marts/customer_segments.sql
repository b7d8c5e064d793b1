{{ config(
    materialized='model',
    estimator='kmeans',
    features=['recency_days', 'frequency', 'monetary'],
    log=['recency_days', 'frequency', 'monetary'],
    key='customer_id'
) }}
-- Groups of customers who buy alike, found by k-means rather than by rule.

select
    customer_id,
    recency_days,
    frequency,
    cast(monetary as double) as monetary
from {{ ref('rfm') }}
