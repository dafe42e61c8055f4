"""Words that say nothing but which language a text is in."""

from typing import Final

_ENGLISH: Final = """
about after all also an and any are as at be been before being but by can could did do does each for from had
has have he her here his how i if in into is it its may me might more most must my no not of on only or other
our out over she should so some such than that the their them then there these they this those through to
under until up us was we were what when where which while who whom whose why will with within would you your
"""
ENGLISH: Final = frozenset(_ENGLISH.split())

_ALSO_ENGLISH: Final = """
a af age ale am ama ani bet bin bit can come con da dal dan das dat de del den der des die dig din dit do don
dos du eine el em en er era est et even fake fi foi form gene ha hade ham han hat hay her hi him hon hoe hun
ile is ja je jag kan ki kind la le les log lo los ma mai main man mar mas me men met mi mint mot na ne ni no
non nor nos o on one op or ore os ou over pa par pas pay per plus pod pro qua que quest sa sans sage se ser
set si sin skill skip so son su sua sur te tai tall tag tar ten te til tot tous tout tu um un uz vain van var
ve vi via war wat we wig y ya zo under
"""
"""Words of other languages that English texts have too, in names and phrases or by chance."""

_OTHERS: Final = {
    "German": """
        aber als auch auf aus bei beim bis dann das dass dem den der des deren dessen diese dieser dieses
        doch du durch ein eine einem einen einer eines er es für gibt haben hatte ich ihr ihre im ist je
        jede jeder kann kein keine können man mehr mit muss müssen nach nicht noch nur oder ohne sein seine
        sich sie sind soll sowie über um und uns unter vom von vor wann warum was welche welcher wenn wer
        werden wie wird wir wo wurde zu zum zur zwei
    """,
    "French": """
        afin ainsi au aux avec avez ce ces cet cette chez combien comme comment dans depuis des du elle
        elles en entre est et été être eux fait fois il ils je la le les leur leurs lui mais même nous où ou
        par pas peut plus pour pourquoi quand que quel quelle quels qui sans sera ses si son sont sous sur
        tous tout très un une vos votre vous
    """,
    "Spanish": """
        al algo como con cómo cuál cuándo cuánto cuántos de del desde donde dónde el ella ellos en entre era
        es esta está están este estos fue ha hasta hay la las lo los más muy ni para pero por porque puede
        que qué quién se según sin sobre su sus también tiene tienen todo un una uno unos y ya
    """,
    "Italian": """
        agli al alla alle anche che chi ci come con cui da dal dalla degli dei della delle di dove è gli
        hanno il in la le nei nel nella non ogni per perché più può quale quali quando quanto questa questo
        sono stato tra un una uno
    """,
    "Portuguese": """
        ao aos às até com como da das de do dos ela ele em essa esse esta eu foi isso já mais mas na nas nem
        nos não num os ou para pela pelo por quais qual que são se sem ser seu sua suas também tem um uma
    """,
    "Dutch": """
        aan bij dan dat de deze die dit door een geen heeft het hij hoe hun ik je jij kan kunnen maar met
        moet naar niet nog om onder ook op te tot uit van voor waar wanneer wat welke wij worden wordt zij
        zijn zonder
    """,
    "Swedish": """
        att av blir den det dig där efter eller ett från får hade har hur här hon inte jag kan med mellan
        mot när och om på sig sin skall som till under utan vad var vara vem vid är
    """,
    "Danish and Norwegian": """
        af blev bliver da den der deres det dette disse efter eller ene enn er et etter fra få får ham hun
        hvad hva hvem hver hvis hvor hvordan ikke jeg kunne med mellem mens må når nogle noe og også på så
        skal som til uden uten ved være
    """,
    "Finnish": """
        ei eivät että hän ja joka jos kanssa koska kuin kun mikä miten mitä mutta myös nämä niin oli olla
        ovat sekä tai tämä vain
    """,
    "Polish": """
        ale bez być był była było czy dla do gdzie ich jak jako jest jeszcze już kiedy która które który lub
        może na nie niż oraz po pod przez przy są się tak ten tego tylko za ze że
    """,
    "Czech and Slovak": """
        ako alebo aby ani až být byl byla bylo bol bola bolo co jak jako je jeho jejich jen jsem jsou kde
        kdo kdy keď která které který ktorá ktoré ktorý když musí nebo pokud při proto sú také tento tiež ve
        však že áno
    """,
    "Hungarian": """
        az egy ez ezek és hogy ha hogyan kell lehet meg mely mert milyen mint mikor nem nincs pedig vagy van
        vannak
    """,
    "Romanian": """
        acest această ale au care că când ce cel cele cu cum de din este fi în la lor mai mult nu pe pentru
        prin sau sunt și să un unde unei unui
    """,
    "Turkish": """
        ama bir bu çok da daha değil gibi hangi her ile için kadar ki nereye neden nerede olan olarak
        ve veya
    """,
    "South Slavic": """
        ali biti dok gdje ili iz ja jer jesu još kada kaj kako kao kateri kdaj koja koje koji kot lahko može
        nakon nije od pa pod prije pri sa samo smo su što te tudi uz za
    """,
    "Baltic and Estonian": """
        apie ar arī bet bija buvo būti būt ei ega iki ir iš jei ja kad kai kaip kas kes ko kui kuidas kur
        lai mis mitte need nuo oli olema par pēc prie su tai tas uz var vai või yra už
    """,
    "Indonesian": """
        adalah akan atau bagaimana bahwa dalam dan dapat dari dengan di ini itu juga karena kepada ke oleh
        pada saat sebagai tidak untuk yang
    """,
    "Vietnamese": """
        bạn bao các cái cho có của đang đã để đến được gì hay khi không là làm lại mà một nào này những như
        phải sao sau sẽ thì tại theo tôi trong từ và vào về với
    """,
    "Catalan": "als amb aquest aquesta com dels els està hi més molt només però què quan són té tots unes",
}
OTHERS: Final = frozenset(" ".join(_OTHERS.values()).split()) - ENGLISH - frozenset(_ALSO_ENGLISH.split())
"""Function words of other languages of Latin script, without those that English texts have too."""

_IN_NAMES: Final = (
    "da das de del den der des di die dos du el es et je la las le les lo los na se si te un van"
)
IN_NAMES: Final = frozenset(_IN_NAMES.split())
"""Those of the rest that English texts have in names alone."""
