"""Answers: one or two sentences, generated from an element's numbers, about what it shows in each state. Imports
runtime/fields and the view model; styles choose among these sentences or write their own."""
