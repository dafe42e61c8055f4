"""Words that name columns, in the languages that tables are written in most; evidence where all cells are texts."""

_WORDS = """
    account action active address age alias amount answer area article artist attribute author balance bank begin
    birthday brand building category cause chapter city class client code colour color column comment comments company
    condition contact content contract cost count country course currency customer date day deadline definition
    delivery department depot description destination detail details device diameter director district due duration
    email e-mail employee employer end error event example expiry explanation feature fee field file first floor
    format frequency from function gender group header height hour house id identifier index ingredient interval
    invoice issue item job key kind label language last length level line link list location manager manufacturer
    material maximum meaning measure message method minimum mobile model month motive name names nationality no note
    notes nr number occupation office option order origin owner page parameter part party password path patient
    percent percentage period person phone place plan plant population position postcode price priority process
    product profession project property provider purpose qty quantity quarter question rank rate reason region
    remark remarks requirement responsible result role room salary sample schedule score section sensor serial
    service setting severity size sku source speaker species stage start state status step stock street subject sum
    summary supplier surname symptom synonym system table task tax team telephone term test text ticket time title
    to topic total type unit units url usage user value variable variant version volume ward warehouse week weight
    width word year zip zone

    abteilung adresse aktion alter anmerkung anrede anschrift antwort anzahl artikel artikelnummer aufgabe ausgabe
    autor bedeutung beginn bemerkung bereich beruf beschreibung bestand betrag betreff bezeichnung beispiel datei
    datum dauer einheit ende ergebnis ersteller farbe feld firma frage funktion gebiet geburtsdatum geschlecht
    gewicht grund gruppe hersteller hinweis höhe inhalt jahr kategorie kennung kommentar konto kosten kunde kürzel
    land lager länge lieferant maßnahme menge monat nachname nummer ort plz preis priorität produkt quelle rang raum
    rolle schlüssel seite sprache stadt standort straße stufe summe tag telefon thema titel typ umsatz ursache
    verantwortlich vorname währung wert woche zeichen zeit zeitraum zimmer zustand

    adresse année auteur catégorie client commentaire coût couleur courriel date description devise durée désignation
    fin fournisseur heure jour langue lieu libellé marque matière mois montant métier naissance nom numéro objet pays
    personne poids prix prénom quantité question remarque responsable région référence réponse rôle salle somme statut
    taille titre téléphone unité valeur ville âge état

    apellido apellidos año autor cantidad cargo categoría ciudad cliente color comentario correo código descripción
    dirección edad empresa estado fecha hora idioma importe lugar marca mes moneda motivo nombre nota número país
    persona precio producto pregunta proveedor puesto región respuesta resultado teléfono tipo título unidad valor

    anno articolo autore categoria cliente codice cognome colore commento costo città data descrizione ditta durata
    email fornitore giorno importo indirizzo lingua luogo mese nome nota numero ora paese persona peso prezzo prodotto
    quantità reparto risposta ruolo stato telefono titolo unità valore domanda

    aantal achternaam adres afdeling antwoord artikel bedrag categorie datum duur eenheid functie gewicht jaar klant
    kleur land leverancier maand merk naam nummer omschrijving opmerking plaats prijs reden status straat taal tijd
    vraag voornaam waarde woonplaats

    ano categoria cidade cor data descrição empresa endereço fornecedor hora idade mês morada nome número observação
    país pergunta preço produto quantidade referência resposta telefone título unidade valor

    adres cena data ilość imię kategoria kod kraj miasto nazwa nazwisko numer opis stan uwagi wartość

    адрес название наименование имя фамилия дата номер город страна цена количество сумма тип код описание статус
    телефон должность отдел примечание категория единица год месяц вопрос ответ

    名称 名前 氏名 姓名 品名 产品名称 产品 商品 商品名 价格 価格 数量 单位 単位 日期 日付 编号 番号 备注 備考 类型
    種類 地址 住所 电话 電話 部门 部署 状态 状態 说明 説明 性别 年齢 年龄 金额 金額 国家 城市
"""

HEADER_WORDS = frozenset(_WORDS.split())
