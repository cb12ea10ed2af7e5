//! A build's log through two zones: ours and ours, ours and Zuul's, Zuul's and ours.
