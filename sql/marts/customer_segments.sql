{{ config(
    materialized='model',
    schema='ml',
    estimator='kmeans',
    features=['recency_days', 'frequency', 'monetary'],
    log=['recency_days', 'frequency', 'monetary'],
    k=5,
    key='customer_id'
) }}
-- Groups of customers who buy alike, found by k-means rather than by rule: five, because that is what marketing can
-- write to. Without `k` it would be as many as fit best.

select
    customer_id,
    recency_days,
    frequency,
    cast(monetary as double) as monetary
from {{ ref('rfm') }}
