-- The days of the range.
SELECT day, day_us
FROM base_calendar
WHERE day_us >= {{since_us}} AND day_us < {{until_us}}
