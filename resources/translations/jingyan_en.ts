<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="en" sourcelanguage="en">
    <context>
        <name>Plurals</name>
        <message numerus="yes">
            <source>%n page(s)</source>
            <translation>
                <numerusform>%n page</numerusform>
                <numerusform>%n pages</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n page(s) missing</source>
            <translation>
                <numerusform>%n page missing</numerusform>
                <numerusform>%n pages missing</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>and %n more page(s)</source>
            <translation>
                <numerusform>and %n more page</numerusform>
                <numerusform>and %n more pages</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n passage(s)</source>
            <translation>
                <numerusform>%n passage</numerusform>
                <numerusform>%n passages</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>Reading %n passage(s)…</source>
            <translation>
                <numerusform>Reading %n passage…</numerusform>
                <numerusform>Reading %n passages…</numerusform>
            </translation>
        </message>
        <message numerus="yes">
            <source>%n image(s)</source>
            <translation>
                <numerusform>%n image</numerusform>
                <numerusform>%n images</numerusform>
            </translation>
        </message>
    </context>
</TS>
